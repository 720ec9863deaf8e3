"""`python -m tests.rig.serve …`: the command line of a gateway that does not mind others on its store."""

import sys

from gateway_proxy.app.attachment import Attachment
from gateway_proxy.cli.main import main


async def _mind_nobody(self: Attachment, own_id: str) -> None:
    """Until counters are shared, the rig is the only one that may have several."""


if __name__ == "__main__":
    Attachment.refuse_company = _mind_nobody  # type: ignore[method-assign]
    sys.exit(main())
