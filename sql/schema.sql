-- Generated from experiments/contracts.py by `python -m analysis.warehouse.contract_sql`; do not edit.

-- one rendered slot (slate)
create table if not exists exposures (
    event_id varchar not null,
    event_ts timestamp not null,
    received_ts timestamp,
    experiment_key varchar,
    phase integer,
    flag_key varchar,
    module varchar not null,
    layer_key varchar,
    page_category varchar,
    unit_type varchar not null,
    unit_id varchar not null,
    user_id varchar,
    session_id varchar,
    device_id varchar,
    variant varchar,
    served_variant varchar,
    assignment_reason varchar not null,
    split_bucket integer,
    traffic_bucket integer,
    layer_bucket integer,
    traffic_bp integer,
    hash_version varchar,
    config_version varchar,
    strategy varchar,
    strategy_version varchar,
    fallback boolean,
    fallback_cause varchar,
    trigger varchar,
    request_id varchar,
    platform varchar,
    browser varchar,
    country varchar,
    app_version varchar,
    latency_ms bigint,
    items struct(item_id varchar, position integer, score double, propensity double, source varchar)[],
    would_differ boolean,
    is_bot boolean,
    is_internal boolean,
    schema_version varchar,
    event_day date not null,
    unit bigint not null,
    items_shown bigint,
    items_stock_known bigint,
    items_out_of_stock bigint,
    clicked boolean not null default false,
    cost_micros bigint,
    load_id varchar not null,
    line bigint not null,
);

-- one thing a unit did; a purchase is one order line
create table if not exists outcomes (
    event_id varchar not null,
    event_ts timestamp not null,
    received_ts timestamp,
    unit_type varchar not null,
    unit_id varchar not null,
    user_id varchar,
    session_id varchar,
    device_id varchar,
    event_name varchar not null,
    value bigint,
    margin bigint,
    quantity bigint,
    discount bigint,
    currency varchar,
    item_id varchar,
    order_id varchar,
    module varchar,
    item_category varchar,
    query varchar,
    request_id varchar,
    browser varchar,
    platform varchar,
    dwell_ms bigint,
    properties json,
    schema_version varchar,
    event_day date not null,
    unit bigint not null,
    own_margin bigint,
    own_item_category varchar,
    original_value varchar,
    item_out_of_stock boolean,
    load_id varchar not null,
    line bigint not null,
);

-- one item from valid_from on; of rows with one valid_from the later load counts
create table if not exists catalogue (
    item_id varchar not null,
    category varchar,
    brand varchar,
    variant_group varchar,
    price bigint,
    margin bigint,
    stock bigint,
    valid_from timestamp not null,
    valid_to timestamp,
    ship_days integer,
    schema_version varchar,
    load_id varchar not null,
    line bigint not null,
);

-- one link of an anonymous id to a user
create table if not exists identity (
    anonymous_id varchar not null,
    user_id varchar not null,
    first_seen timestamp not null,
    schema_version varchar,
    load_id varchar not null,
    line bigint not null,
);

-- one unit: its dense key, given in order of first appearance
create table if not exists units (
    unit bigint not null,
    unit_type varchar not null,
    unit_id varchar not null,
);

-- one row, from the first load that added any: the shop's settings its amounts and business days hang on
create table if not exists terms (
    currency varchar not null,
    money_digits bigint not null,
    time_zone varchar not null,
);

-- one loaded file under one mapping
create table if not exists loads (
    load_id varchar not null,
    seq bigint not null,
    file varchar not null,
    file_digest varchar not null,
    mapping_name varchar not null,
    mapping_digest varchar not null,
    loaded_at timestamp not null,
    rows_read bigint not null,
    rows_malformed bigint not null,
    rows_not_emitted bigint not null,
    not_emitted_example varchar,
    rows_repeated bigint not null,
    rows_repeated_kept bigint not null,
    emitted bigint not null,
    accepted bigint not null,
    duplicates bigint not null,
    copies bigint not null,
    said_before bigint not null,
    rejected bigint not null,
);

-- one segment of the exposure log: the load it came in with, and which line of that load is its first
create table if not exists loaded_segments (
    segment varchar not null,
    file_digest varchar not null,
    load_id varchar not null,
    first_line bigint not null,
    loaded_at timestamp not null,
);

-- one row that broke the contract, with every reason; a source row that could not be read has no emit
create table if not exists rejected (
    load_id varchar not null,
    file varchar not null,
    line bigint not null,
    emit bigint,
    to_table varchar,
    reasons varchar[] not null,
    raw varchar not null,
);

-- one session of a unit: rows less than 30 minutes apart on one business day
create table if not exists sessions (
    unit bigint not null,
    session_ts timestamp not null,
    last_ts timestamp not null,
    event_day date not null,
    entry_module varchar not null,
    has_click boolean not null,
    has_add_to_cart boolean not null,
    has_order boolean not null,
);

-- one order line and refund or cancel that takes something from it
create table if not exists returns (
    unit bigint not null,
    order_id varchar not null,
    event_id varchar not null,
    event_name varchar not null,
    days_after bigint not null,
    amount bigint not null,
);
