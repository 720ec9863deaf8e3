"""The line of every key of a TOML text, for error messages only.

Promises one entry for each table, key and list item that `tomllib` would produce from the same valid text. It is
imported only once something is wrong, so a good file never pays for it. Reading values belongs to `tomllib`.
"""

import tomllib

import tree_sitter
import tree_sitter_toml

from gateway_proxy.config.mistakes import KeyPath

_PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_toml.language()))


def find_lines(source: bytes) -> dict[KeyPath, int]:
    """Map each key path of a valid UTF-8 TOML text to the line (from 1) where it first appears."""
    return _LineFinder(source).lines


def nearest_line(lines: dict[KeyPath, int], path: KeyPath) -> int | None:
    """The line of `path`, or of the closest table around it that is written in the file."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return None


class _LineFinder:
    def __init__(self, source: bytes) -> None:
        self._source = source
        self._counts: dict[KeyPath, int] = {}
        self.lines: dict[KeyPath, int] = {}
        root = _PARSER.parse(source).root_node
        self._visit_pairs(root, ())
        for node in root.named_children:
            if node.type in {"table", "table_array_element"}:
                self._visit_pairs(node, self._enter_header(node))

    def _enter_header(self, node: tree_sitter.Node) -> KeyPath:
        """The path of a `[table]` or `[[table]]`; a part that is an array of tables means its latest item."""
        parts = self._read_key(node.named_children[0])
        path: KeyPath = ()
        for index, part in enumerate(parts):
            path += (part,)
            self._note(path, node)
            if index == len(parts) - 1 and node.type == "table_array_element":
                self._counts[path] = self._counts.get(path, 0) + 1
            if path in self._counts:
                path += (self._counts[path] - 1,)
        self._note(path, node)
        return path

    def _visit_pairs(self, node: tree_sitter.Node, prefix: KeyPath) -> None:
        for child in node.named_children:
            if child.type != "pair":
                continue
            path = prefix
            for part in self._read_key(child.named_children[0]):
                path += (part,)
                self._note(path, child)
            self._visit_value(child.named_children[1], path)

    def _visit_value(self, node: tree_sitter.Node, path: KeyPath) -> None:
        if node.type == "inline_table":
            self._visit_pairs(node, path)
        elif node.type == "array":
            items = (child for child in node.named_children if child.type != "comment")
            for index, item in enumerate(items):
                self._note((*path, index), item)
                self._visit_value(item, (*path, index))

    def _read_key(self, node: tree_sitter.Node) -> list[str]:
        if node.type == "dotted_key":
            return [part for child in node.named_children for part in self._read_key(child)]
        text = self._source[node.start_byte : node.end_byte].decode()
        return [next(iter(tomllib.loads(f"{text}=0")))]

    def _note(self, path: KeyPath, node: tree_sitter.Node) -> None:
        self.lines.setdefault(path, node.start_point[0] + 1)
