"""Where the search begins: a few inputs of each kind that say much, and those that broke something once."""

import io
import tarfile

HEAD = b"GET /v1.41/containers/json?all=1 HTTP/1.1\r\nHost: docker\r\nUser-Agent: Docker-Client/28.0 (linux)"


def archive_of(**members: bytes) -> bytes:
    """Return a tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name.replace("_", "."))
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


SEEDS: dict[str, list[bytes]] = {
    "request": [
        HEAD,
        b"POST /build HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue",
        b"POST /exec/1/start HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 2",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        b"GET http://docker/info HTTP/1.0\r\nConnection: keep-alive",
        b"OPTIONS * HTTP/1.1\r\nHost: a",
    ],
    "answer": [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12",
        b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp",
        b"HTTP/1.0 404\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked",
    ],
    "chunked": [
        b"\x035\r\nhello\r\n0\r\n\r\n",
        b"\x01a;name=value\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nGET",
        b"\x00ffffffff\r\n",
    ],
    "path": [
        b"GET /v1.41/containers/node/name/json",
        b"GET /containers/a/attach/ws",
        b"DELETE /v1.24/containers/a/checkpoints/b",
        b"GET /v1.52/images/registry:5000/a/b@sha256:0/json",
        b"POST /services/a/update",
    ],
    "filters": [
        b'{"label":["a=b","c"],"event":{"start":true}}',
        b'{"type":["container"],"name":["^a","b$"],"until":["1"]}',
        b'{"node":["node-1"]}',
    ],
    "expressions": [
        b"node==node-1\0region!=~eu*",
        b"storage==/^(ssd|nvme)+$/",
        b"kernel==~/3\\.1[0-9]?\\d*/",
        b"a_==/(((a*)*)*)*b/",
    ],
    "entries": [
        b"10.0.0.[1:3]:2375,b:2375",
        b"[fe80::1%eth0]:2375",
        b"unix:///var/run/docker.sock",
        b"ssh://user@host:22/run/docker.sock",
        b"node[01:20]:2375",
    ],
    "event": [
        b'{"status":"start","id":"1","from":"busybox","Type":"container","Action":"start",'
        b'"Actor":{"ID":"1","Attributes":{"image":"busybox","name":"a"}},"scope":"local","time":1,"timeNano":1000000001}',
        b'{"Type":"network","Action":"connect","Actor":null,"from":null}',
        b'{"status":"pull","id":"busybox:latest","time":1}',
        b'{"Type":"network","unread":"\xff"}',
    ],
    "lists": [
        b'[{"Id":"sha256:1","ParentId":"","RepoTags":["a:1"],"RepoDigests":null,"Created":1,"Labels":{"a":null}}]',
        b'{"Volumes":[{"Name":"data","Driver":"local","Labels":null,"Options":{},"Scope":"local"}]}',
        b'{"Id":"1","Name":"n","Created":"2024-01-01T00:00:00.1Z","Scope":"swarm","IPAM":{"Config":[]},"Containers":{}}',
        b'{"Id":"1","Names":["/a"],"Created":1,"Ports":[{"IP":"0.0.0.0","PrivatePort":80,"PublicPort":1,"Type":"tcp"}]}\0'
        b'{"Id":"1","Created":"2024-01-01T00:00:00Z","State":{"Running":true,"StartedAt":"0001-01-01T00:00:00Z"},'
        b'"Config":{"Labels":{"a":"b"},"Env":["reschedule:on-node-failure"]},"HostConfig":{"Memory":1}}',
    ],
    "create": [
        b'{"Image":"busybox","Env":["constraint:node==a","A=1",null],"Labels":{"a":"b"},'
        b'"HostConfig":{"Memory":1073741824,"CpuShares":2,"PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"80"}]},'
        b'"Binds":["data:/data","/a:/b:ro"],"Links":["db:db"],"VolumesFrom":["a:ro"],"NetworkMode":"container:x",'
        b'"DeviceRequests":[{"Driver":"nvidia","Count":-1,"Capabilities":[["gpu"]]}]},'
        b'"NetworkingConfig":{"EndpointsConfig":{"net":{"Links":["db:db"]}}}}',
        b'{"image":"x","hostconfig":{"memory":1},"Cpuset":"0,1","Memory":4194304,"ExposedPorts":{"80-90/udp":{}}}',
    ],
    "network": [
        b'{"Name":"a","Driver":"overlay","CheckDuplicate":true,"Options":{"a":"b"},"ConfigFrom":{"Network":"c"}}',
        b'{"name":"node/a","Labels":{"x":"y"},"Scope":"swarm","Ingress":true,"Attachable":false}',
    ],
    "archive": [
        archive_of(manifest_json=b'[{"Config":"a","RepoTags":["x:1"],"Layers":[]}]', a=b"1" * 600),
        archive_of(repositories=b'{"x":{"1":"a"}}', index_json=b'{"schemaVersion":2,"manifests":[]}'),
    ],
}
