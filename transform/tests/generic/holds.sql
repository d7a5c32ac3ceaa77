{#- Rows of which a condition does not hold; one that cannot be decided, because something is not known, holds. -#}
{% test holds(model, condition) %}
select 1 as broken
from {{ model }}
where not ({{ condition }})
{% endtest %}
