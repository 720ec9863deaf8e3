"""The local store behind commands."""

import stat


def test_relative_paths_start_at_the_file(cli, tmp_path, monkeypatch) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "config.toml").write_text('[storage]\nurl = "sqlite:state/keys.db"\ndata_dir = "data"\n')
    assert cli("keys", "create", "--name", "a", "-c", "etc/config.toml").code == 0
    assert (folder / "state" / "keys.db").exists()
    assert stat.S_IMODE((folder / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "data").stat().st_mode) == 0o700
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GATEWAY_PROXY_CONFIG", "config.toml")
    assert "a" in cli("keys", "list").out


def test_a_folder_that_cannot_be_made(cli, tmp_path) -> None:
    (tmp_path / "gateway-data").write_text("")
    outcome = cli("keys", "create", "--name", "a")
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
    assert "gateway-data cannot be created" in outcome.err
