-- one row per session of any unit
select
    unit,
    session_ts as event_ts,
    event_day,
    entry_module as module,
    has_click,
    has_add_to_cart,
    has_order,
from sessions
