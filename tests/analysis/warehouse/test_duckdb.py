from dataclasses import replace
from pathlib import Path

import pytest

from analysis.warehouse import DEFAULT, WAREHOUSES
from analysis.warehouse.base import Warehouse
from analysis.warehouse.counting.facts_sql import SQL_FOLDER
from experiments.errors import WarehouseBusyError, WarehouseError
from experiments.spec import Slice
from tests.helpers.requests import count_request, shipped

CHECKS = sorted(path.stem for path in (SQL_FOLDER / "checks").glob("*.sql"))


def test_a_warehouse_file_is_opened_for_one_process_at_a_time(tmp_path: Path) -> None:
    request = count_request(shipped("ctr"))
    with WAREHOUSES[DEFAULT](tmp_path / "warehouse.duckdb") as warehouse:
        one: Warehouse = warehouse
        assert one.engine.startswith("duckdb ")
        assert warehouse.count(request).units == {"control": 0, "treatment": 0}
        with pytest.raises(WarehouseBusyError), WAREHOUSES[DEFAULT](tmp_path / "warehouse.duckdb"):
            pass
    with WAREHOUSES[DEFAULT](tmp_path / "warehouse.duckdb") as warehouse:
        assert warehouse.count(request).units == {"control": 0, "treatment": 0}


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_runs_with_the_parameters_a_request_gives(name: str, tmp_path: Path) -> None:
    request = count_request(shipped("ctr"))
    with WAREHOUSES[DEFAULT](tmp_path / "warehouse.duckdb") as warehouse:
        warehouse.count(request)
        assert warehouse.check(name, request).name == name


def test_a_check_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    with WAREHOUSES[DEFAULT](tmp_path / "warehouse.duckdb") as warehouse:
        with pytest.raises(WarehouseError, match=r"no check 'sample_ratios' \(nearest: sample_ratio"):
            warehouse.check("sample_ratios", count_request(()))
        with pytest.raises(WarehouseError):
            warehouse.check("../schema", count_request(()))


def test_a_request_without_metrics_still_counts_units(tmp_path: Path) -> None:
    with WAREHOUSES[DEFAULT](tmp_path / "warehouse.duckdb") as warehouse:
        assert warehouse.count(count_request(())).units == {"control": 0, "treatment": 0}


def test_the_slice_of_a_key_that_is_a_word_of_sql_does_no_harm(tmp_path: Path) -> None:
    select = Slice.model_validate({"key": "select", "kind": "context", "column": "platform"})
    with WAREHOUSES[DEFAULT](tmp_path / "warehouse.duckdb") as warehouse:
        warehouse.count(replace(count_request(shipped("ctr")), slices=(select,)))
