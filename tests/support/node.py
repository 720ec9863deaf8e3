"""Node.js and the packages of requirements/npm, as `./run test` installs them in a virtual environment of their own."""

import sys
from pathlib import Path

_CLIENTS = Path(sys.prefix) / "clients"
NODE = _CLIENTS / "bin" / "node"
NODE_MODULES = _CLIENTS / "npm" / "node_modules"
