"""Leases as files, networks and host changes as rows."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from scow.metadata.database import Database
from scow.metadata.leases import SCHEMA, WITH_RANGES, HostChange, NetworkStore
from scow.model.network import AddressRange, Endpoint, Network
from scow.model.ports import Port, PublishedPort
from scow.network import records
from scow.network.leases import Lease, LeaseDirectory

LEASE = Lease("a" * 64, (Endpoint("n", "bridge", "e", "172.29.0.2", 16),), (PublishedPort(Port(80), "0.0.0.0", 8080),))


def test_a_lease_survives(tmp_path: Path) -> None:
    directory = LeaseDirectory(str(tmp_path / "leases"))
    assert directory.load() == {}
    directory.write(LEASE)
    assert directory.load() == {LEASE.container_id: LEASE}
    directory.remove(LEASE.container_id)
    directory.remove(LEASE.container_id)
    assert directory.load() == {}


def test_half_written_and_damaged_files_count_as_none(tmp_path: Path) -> None:
    directory = LeaseDirectory(str(tmp_path))
    directory.write(LEASE)
    (tmp_path / "b.new").write_bytes(b'{"contai')
    (tmp_path / "c.json").write_bytes(b"\xff{")
    (tmp_path / "d.json").write_bytes((tmp_path / f"{LEASE.container_id}.json").read_bytes())
    assert list(directory.load()) == [LEASE.container_id]
    directory.retain({LEASE.container_id})
    assert [path.name for path in tmp_path.iterdir()] == [f"{LEASE.container_id}.json"]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "t.db"), ((1, SCHEMA),))
    yield database
    database.close()


def test_predefined_networks_keep_their_ids(database: Database) -> None:
    store = NetworkStore(database)
    first = records.load(store)
    for network in first.values():
        asyncio.run(store.save(network))
    assert records.load(store) == first
    assert sorted((one.name, one.driver, len(one.id)) for one in first.values()) == [
        ("bridge", "bridge", 64),
        ("host", "host", 64),
        ("none", "null", 64),
    ]


def test_a_record_of_one_subnet_becomes_one_of_ranges(tmp_path: Path) -> None:
    path = str(tmp_path / "old.db")
    old = Database(path, ((1, SCHEMA),))
    record = (
        b'{"id":"1","name":"bridge","driver":"bridge","subnet":"172.29.0.0/16","gateway":"172.29.0.1","bridge":"scow0"}'
    )
    plain = b'{"id":"2","name":"host","driver":"host","subnet":""}'
    for row in (("1", "bridge", record), ("2", "host", plain)):
        old.write_now(lambda connection, row=row: connection.execute("insert into networks values (?, ?, ?)", row))  # type: ignore[misc]
    old.close()
    new = Database(path, ((1, SCHEMA), (2, WITH_RANGES)))
    networks = {one.name: one for one in NetworkStore(new).load()}
    new.close()
    assert networks["bridge"].ranges == (AddressRange("172.29.0.0/16", "172.29.0.1"),)
    assert networks["bridge"].gateway == "172.29.0.1"
    assert networks["host"].ranges == ()


def test_a_network_is_replaced_by_id(database: Database) -> None:
    store = NetworkStore(database)
    asyncio.run(store.save(Network("1" * 64, "bridge", "bridge")))
    asyncio.run(store.save(Network("1" * 64, "bridge", "bridge", ranges=(AddressRange("172.29.0.0/16"),))))
    assert [network.subnet for network in store.load()] == ["172.29.0.0/16"]


def test_the_first_state_of_the_host_stays_recorded(database: Database) -> None:
    store = NetworkStore(database)
    for before, at in (("0", 1), ("1", 2)):
        change = HostChange("sysctl", "net.ipv4.ip_forward", before, "1", at)
        database.write_now(lambda connection, change=change: store.insert_change(connection, change))  # type: ignore[misc]
    assert store.changes() == [HostChange("sysctl", "net.ipv4.ip_forward", "0", "1", 2)]
    asyncio.run(store.forget_change(store.changes()[0]))
    assert store.changes() == []
