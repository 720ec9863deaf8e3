"""`python -m tests.rig.serve …`: the command line of a gateway that does not mind others on its store."""

import sys

from gateway_proxy.app.limits import OwnLimits
from gateway_proxy.cli.main import main


async def _mind_nobody(self: OwnLimits, others: object) -> None:
    """The rig alone may have several whose counters are not shared."""


if __name__ == "__main__":
    OwnLimits.refuse_company = _mind_nobody  # type: ignore[method-assign]
    sys.exit(main())
