"""The folder of `[storage] data_dir`: made if it is missing, and refused by the name and line of its setting."""

import tempfile

from gateway_proxy.config import Config
from gateway_proxy.config.load import locate_mistakes
from gateway_proxy.keys.pepper import PepperError, make_private_folder
from gateway_proxy.storage.database import StoreError


def ready_data_dir(config: Config, *, writes: bool) -> None:
    """Make the folder if need be; with `writes` see that files can be made in it, and leave none. Raises StoreError."""
    folder = config.storage.data_dir
    try:
        make_private_folder(folder)
        if writes:
            with tempfile.TemporaryFile(dir=folder):
                return
    except PepperError as error:
        problem = str(error)
    except OSError as error:
        problem = f"nothing can be written into {folder} ({error.strerror}); check its owner and mode, or name another folder"
    else:
        return
    (mistake,) = locate_mistakes(config, [(("storage", "data_dir"), problem)])
    raise StoreError(str(mistake))
