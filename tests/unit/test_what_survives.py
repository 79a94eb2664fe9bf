from dataclasses import replace

from tests.survival import BEGIN, DOCUMENT, END, KILL, KILLED, LOST, RESTARTED, STOP, Row, rows_of_table, table


def test_the_document_has_a_measured_row_for_every_process():
    """`make what-survives` writes it."""
    expected = {(name, KILL) for name in KILLED} | {(name, STOP) for name in RESTARTED} | {("NodeManager", LOST)}
    rows = rows_of_table(DOCUMENT.read_text())
    assert sorted((row.process, row.how) for row in rows) == sorted(expected)


def test_a_table_is_in_order_and_has_as_many_cells_in_each_row():
    rows = [Row("edge", STOP, "1 s", "1 s", "runs", "a|b"), Row("Hub", KILL, *"wxyz"), Row("edge", KILL, *"wxyz")]
    lines = table(rows).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| Hub", "| edge", "| edge"]
    assert [line.count("|") for line in lines] == [7] * 5
    assert KILL in lines[3]
    text = f"{BEGIN}\n{table(rows)}\n{END}"
    assert rows_of_table(text) == [rows[1], rows[2], replace(rows[0], seen="a/b")]
