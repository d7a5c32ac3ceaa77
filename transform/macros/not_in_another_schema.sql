{#- All that dbt makes lies in the schema of the profile, whatever a model says. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
  {{ target.schema }}
{%- endmacro %}
