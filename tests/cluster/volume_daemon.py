"""A scripted daemon whose volumes can be made and removed."""

import json
from typing import Any

from tests.cluster.image_daemon import Asked
from tests.compat.daemon import Answer, Daemon


class VolumeDaemon(Daemon):
    """Keeps the volumes that it is told to make. `nfs` is a driver whose volumes all nodes share."""

    def __init__(self, name: str, *volumes: str, **fields: Any) -> None:
        super().__init__(name, **fields)
        for volume in volumes:
            self.hold_volume(volume)

    def hold_volume(self, name: str, driver: str = "local", **fields: Any) -> None:
        """Have a volume without telling."""
        scope = "global" if driver == "nfs" else "local"
        volume = {"Name": name, "Driver": driver, "Scope": scope, "Labels": None, "Options": None} | fields
        self.volumes.append({"Mountpoint": f"/{self.name}/{name}", **volume})

    @property
    def names(self) -> list[str]:
        """What it holds."""
        return [each["Name"] for each in self.volumes]

    def _create(self, name: str, body: dict[str, Any]) -> Answer:
        """Create a container with the volumes that it mounts."""
        status, said = super()._create(name, body)
        if status == 201:
            host = body.get("HostConfig") or {}
            mounted = [bind.partition(":")[0] for bind in host.get("Binds") or ()]
            mounted += [mount["Source"] for mount in host.get("Mounts") or ()]
            for volume in mounted:
                if volume not in self.names:
                    self.hold_volume(volume)
        return status, said

    def _write(self, asked: Asked, body: bytes) -> Answer:
        if not asked.path.startswith("/volumes/"):
            return super()._write(asked, body)
        name = asked.path.removeprefix("/volumes/")
        if name == "create":
            return self._create_volume(json.loads(body))
        if name == "prune":
            gone, self.volumes = self.names, []
            return 200, {"VolumesDeleted": gone, "SpaceReclaimed": 5 * len(gone)}
        if name not in self.names:
            return 404, {"message": f"get {name}: no such volume"}
        self.volumes = [each for each in self.volumes if each["Name"] != name]
        return 204, None

    def _create_volume(self, body: dict[str, Any]) -> Answer:
        name, driver = body["Name"], body.get("Driver") or "local"
        if name not in self.names:
            self.hold_volume(name, driver, Labels=body.get("Labels"), Options=body.get("DriverOpts"))
        return 201, next(each for each in self.volumes if each["Name"] == name)

    def _reply(self, path: str, query: dict[str, list[str]]) -> tuple[int, bytes]:
        if path.startswith("/volumes/"):
            name = path.removeprefix("/volumes/")
            found = [each for each in self.volumes if each["Name"] == name]
            if not found:
                return 404, json.dumps({"message": f"get {name}: no such volume"}).encode()
            return 200, json.dumps(found[0] | {"Status": {"live": True}}).encode()
        return super()._reply(path, query)
