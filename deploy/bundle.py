"""Turn `crun spec`'s config.json into a container of the image as deploy/kubernetes runs it. For deploy/prove.sh."""

import json
import socket
import sys
from pathlib import Path


def main(bundle: Path, root: str) -> None:
    """Write config.json and, for the caller, the port that the service will listen on."""
    image = json.loads((bundle / "image.json").read_text())["OCIv1"]["config"]
    config = json.loads((bundle / "config.json").read_text())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (bundle / "port").write_text(str(port))
    uid, gid = (int(number) for number in image["User"].split(":"))
    settings = {"HOST": "127.0.0.1", "PORT": port}
    config["process"] |= {
        "terminal": False,
        "user": {"uid": uid, "gid": gid},
        "args": image["Cmd"],
        "cwd": image["WorkingDir"],
        "env": [*image["Env"], *(f"NEUROTRIAGE_{name}={value}" for name, value in settings.items())],
        "noNewPrivileges": True,
        "capabilities": {kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")},
    }
    config["root"] = {"path": root, "readonly": True}
    namespaces = [each for each in config["linux"]["namespaces"] if each["type"] not in ("network", "cgroup")]
    config["linux"] |= {"namespaces": namespaces, "resources": {}}
    config["mounts"] = [each for each in config["mounts"] if each["type"] != "cgroup"]
    (bundle / "config.json").write_text(json.dumps(config))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
