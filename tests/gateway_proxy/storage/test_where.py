from gateway_proxy.storage.where import Where


def test_clauses_and_arguments_keep_their_order() -> None:
    where = Where()
    assert str(where) == ""
    where.equal("a", 1)
    where.equal("b", None)
    where.add(f"c > {where.bind(3)}")
    assert (str(where), where.args) == (" WHERE a = $1 AND c > $2", [1, 3])
