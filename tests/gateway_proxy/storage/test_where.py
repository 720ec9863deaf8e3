from gateway_proxy.storage.where import Where, list_marks


def test_clauses_and_arguments_keep_their_order() -> None:
    where = Where()
    assert str(where) == ""
    where.equal("a", 1)
    where.equal("b", None)
    where.add(f"c > {where.bind(3)}")
    assert (str(where), where.args) == (" WHERE a = $1 AND c > $2", [1, 3])


def test_placeholders_are_counted_on() -> None:
    assert (list_marks(0), list_marks(2), list_marks(2, first=4)) == ("", "$1, $2", "$4, $5")
