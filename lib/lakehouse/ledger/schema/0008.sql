-- Restatements: days of sales that readers had been told of, and that a later run of gold told otherwise.

create table ops.restatements (
    run_id text not null references ops.runs,
    sales_date date not null,
    -- rows of gold.fact_daily_sales
    rows_inserted bigint not null,
    rows_updated bigint not null,
    rows_deleted bigint not null,
    -- of the whole day
    units_sold_before bigint not null,
    units_sold_after bigint not null,
    units_returned_before bigint not null,
    units_returned_after bigint not null,
    -- null where an amount of the day did not fit its column
    net_sales_before numeric,
    net_sales_after numeric,
    primary key (run_id, sales_date)
);
create index restatements_sales_date on ops.restatements (sales_date);
comment on table ops.restatements is 'Days of gold.fact_daily_sales that had been published before, and that a run changed: by how many rows, from what to what';
