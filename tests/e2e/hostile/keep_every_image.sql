-- For the shop brought in one go: what an update overwrites or a delete takes away is kept aside, and `bring_back` puts
-- it back as rows of its own, so that a single run sees every image that the runs day by day have seen. (No table has a
-- key, so it can.)
create schema kept;

create function kept.keep() returns trigger language plpgsql as $$
begin
    -- Not what leaves silver when its key is gone, as no key of those comes back: a first load never sees it.
    if tg_op = 'UPDATE' or tg_table_name in ('customers', 'products', 'campaigns') then
        execute format('insert into kept.%I select ($1).*', tg_table_name) using old;
    end if;
    return old;
end
$$;

create function kept.bring_back() returns void language plpgsql as $$
declare
    name text;
begin
    foreach name in array array['customers', 'products', 'orders', 'order_items', 'inventory', 'campaigns'] loop
        execute format('insert into public.%1$I select * from kept.%1$I', name);
    end loop;
    drop schema kept cascade;
end
$$;

create table kept.customers (like public.customers);
create table kept.products (like public.products);
create table kept.orders (like public.orders);
create table kept.order_items (like public.order_items);
create table kept.inventory (like public.inventory);
create table kept.campaigns (like public.campaigns);
create trigger keep after update or delete on public.customers for each row execute function kept.keep();
create trigger keep after update or delete on public.products for each row execute function kept.keep();
create trigger keep after update or delete on public.orders for each row execute function kept.keep();
create trigger keep after update or delete on public.order_items for each row execute function kept.keep();
create trigger keep after update or delete on public.inventory for each row execute function kept.keep();
create trigger keep after update or delete on public.campaigns for each row execute function kept.keep();
