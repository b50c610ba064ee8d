"""What every session on the warehouse has set, whatever server, profile or user say: it would change values. Pure.

The rest is the user's: limits on time, memory and rows are obeyed, and end a statement with the server's sentence.
A setting that the server does not know, or that it does not let this user set, is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Engine

__all__ = [
    "FIRST_SETTINGS",
    "LIMITS",
    "PINNED",
    "SETTABLE_OPTION",
    "SETTABLE_STATEMENT",
    "only_settable",
    "pinned_settings",
    "settable_of",
]


# An engine carries the names of the settings that its user may set as an execution option of this name.
SETTABLE_OPTION = "sentinel_settable"

# What the first statements need, before the server has told what it knows: else a profile may cut off its answer,
# change it or refuse it. Every server that is new enough knows the first two.
LIMITS: Mapping[str, str] = {"limit": "0", "offset": "0"}
FIRST_SETTINGS: Mapping[str, str] = {
    **LIMITS,
    "additional_result_filter": "",
    "filter": "",
    "format": "",
    "input_format": "",
    "order": "",
    "output_format": "",
    "page": "0",
    "select": "",
    "sort": "",
    "use_query_cache": "0",
}

# https://clickhouse.com/docs/operations/settings/settings, …/settings/formats and …/settings/query-complexity
PINNED: Mapping[str, str] = {
    **FIRST_SETTINGS,
    # What a statement means.
    "aggregate_functions_null_for_empty": "0",
    "any_join_distinct_right_table_keys": "0",
    "cast_keep_nullable": "0",
    "count_distinct_implementation": "uniqExact",
    "data_type_default_nullable": "0",
    "empty_result_for_aggregation_by_constant_keys_on_empty_set": "1",
    "empty_result_for_aggregation_by_empty_set": "0",
    "enable_positional_arguments": "1",
    "except_default_mode": "ALL",
    "extremes": "0",
    "final": "0",
    "group_by_use_nulls": "0",
    "intersect_default_mode": "ALL",
    "join_default_strictness": "ALL",
    "join_use_nulls": "0",
    "prefer_column_name_to_alias": "0",
    "session_timezone": "UTC",
    "transform_null_in": "0",
    # Which rows there are: an answer that is cut off is an error, and not a smaller night.
    "additional_table_filters": "{}",
    "apply_deleted_mask": "1",
    "apply_patch_parts": "1",
    "distinct_overflow_mode": "throw",
    "distributed_group_by_no_merge": "0",
    "group_by_overflow_mode": "throw",
    "join_overflow_mode": "throw",
    "parallel_replicas_for_non_replicated_merge_tree": "0",
    "read_overflow_mode": "throw",
    "read_overflow_mode_leaf": "throw",
    "result_overflow_mode": "throw",
    "set_overflow_mode": "throw",
    "skip_unavailable_shards": "0",
    "sort_overflow_mode": "throw",
    "timeout_overflow_mode": "throw",
    "timeout_overflow_mode_leaf": "throw",
    "transfer_overflow_mode": "throw",
    # Statements that name no key, or no projection, are meant so.
    "force_index_by_date": "0",
    "force_optimize_projection": "0",
    "force_optimize_projection_name": "",
    "force_primary_key": "0",
    # How a value is written and read between the server and the drivers.
    "bool_false_representation": "false",
    "bool_true_representation": "true",
    "date_time_64_output_format_cut_trailing_zeros_align_to_groups_of_thousands": "0",
    # A text of an instant may say its zone: see `wire.literal_values`.
    "date_time_input_format": "best_effort",
    "date_time_output_format": "simple",
    "format_tsv_null_representation": "\\N",
    "http_write_exception_in_output_format": "0",
    "input_format_allow_errors_num": "0",
    "input_format_allow_errors_ratio": "0",
    "input_format_arrow_case_insensitive_column_matching": "0",
    "input_format_defaults_for_omitted_fields": "1",
    "input_format_skip_unknown_fields": "0",
    # In a JSON column a text that looks like a date stays a text.
    "input_format_try_infer_dates": "0",
    "input_format_try_infer_datetimes": "0",
    "input_format_values_accurate_types_of_literals": "1",
    "input_format_values_interpret_expressions": "1",
    "output_format_arrow_date_as_uint16": "0",
    "output_format_arrow_low_cardinality_as_dictionary": "0",
    "output_format_arrow_string_as_string": "1",
    "output_format_tsv_crlf_end_of_line": "0",
    # A NULL is a NULL, not the column's default.
    "input_format_null_as_default": "0",
    "insert_null_as_default": "0",
    # What is acknowledged is done: on every replica where a statement asks for it, on every shard.
    "alter_sync": "1",
    "async_insert": "0",
    "distributed_ddl_output_mode": "throw",
    "distributed_foreground_insert": "1",
    "insert_distributed_sync": "1",
    "lightweight_delete_mode": "alter_update",  # patches would not go with the parts that are attached elsewhere
    "lightweight_deletes_sync": "2",
    "mutations_sync": "1",
    "replication_alter_partitions_sync": "1",
    "wait_for_async_insert": "1",
    # A window of half a year in a table partitioned by day is one insert.
    "max_partitions_per_insert_block": "0",
    # Two equal blocks are two. A replicated table, and newer servers more widely, would drop the second
    # block silently.
    "insert_deduplicate": "0",
    "deduplicate_insert": "disable",
}

# The older name of a setting → the newer, or the setting that supersedes it.
NEWER_NAMES: Mapping[str, str] = {
    "insert_deduplicate": "deduplicate_insert",
    "insert_distributed_sync": "distributed_foreground_insert",
    "replication_alter_partitions_sync": "alter_sync",
}

# A setting whose values an administrator has bounded is left to him: what is pinned may lie outside.
SETTABLE_STATEMENT = (
    "SELECT arrayStringConcat(groupArray(name), ',') FROM system.settings "
    "WHERE readonly = 0 AND isNull(min) AND isNull(max)"
)


def settable_of(engine: Engine) -> frozenset[str]:
    """Give the names of the settings that the server knows and lets the engine's user set."""
    names = engine.get_execution_options().get(SETTABLE_OPTION)
    return names if isinstance(names, frozenset) else frozenset()


def only_settable(engine: Engine, settings: Mapping[str, str]) -> dict[str, str]:
    """Leave out the settings that the engine's user may not set."""
    settable = settable_of(engine)
    return {name: value for name, value in settings.items() if name in settable}


def pinned_settings(settable: Collection[str]) -> dict[str, str]:
    """Choose what is pinned among the settings that may be set; of two names of one setting, the newer."""
    pinned = {name: value for name, value in PINNED.items() if name in settable}
    return {name: value for name, value in pinned.items() if NEWER_NAMES.get(name) not in pinned}
