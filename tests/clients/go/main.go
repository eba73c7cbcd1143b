// What a Go program does with Docker's client library, told so that two endpoints can be compared.
//
// `program tcp://HOST:PORT` prints one JSON object: the name of each step, and what it came to. IDs and times are left
// out. A step that fails says how.
package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"
)

const label = "made-by=go"

var (
	ctx    context.Context
	docker *client.Client
	events = map[string]bool{}
)

type step struct {
	name string
	do   func() (interface{}, error)
}

func main() {
	var cancel context.CancelFunc
	ctx, cancel = context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	var err error
	docker, err = client.NewClientWithOpts(client.WithHost(os.Args[1]), client.WithAPIVersionNegotiation())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	said := map[string]interface{}{}
	for _, each := range []step{
		{"ping", ping}, {"networks", networks}, {"volumes", volumes}, {"create", create}, {"follow", follow},
		{"logs", logs}, {"attach", attach}, {"exec", exec}, {"resize", resize}, {"copy", copyBothWays},
		{"stats", stats}, {"list", list}, {"inspect", inspect}, {"update", update}, {"stop", stop},
		{"errors", errors}, {"remove", remove}, {"prune", prune}, {"events", heard},
	} {
		answer, err := each.do()
		if err != nil {
			answer = "failed: " + err.Error()
		}
		said[each.name] = answer
	}
	text, _ := json.MarshalIndent(said, "", " ")
	fmt.Println(string(text))
}

func ping() (interface{}, error) {
	said, err := docker.Ping(ctx)
	return []interface{}{said.APIVersion, said.OSType, docker.ClientVersion()}, err
}

func networks() (interface{}, error) {
	_, err := docker.NetworkCreate(ctx, "go-net", types.NetworkCreate{
		CheckDuplicate: true, Driver: "bridge", Labels: map[string]string{"made-by": "go"},
	})
	if err != nil {
		return nil, err
	}
	_, twice := docker.NetworkCreate(ctx, "go-net", types.NetworkCreate{CheckDuplicate: true})
	found, err := docker.NetworkList(ctx, types.NetworkListOptions{Filters: filters.NewArgs(filters.Arg("label", label))})
	if err != nil {
		return nil, err
	}
	inspected, err := docker.NetworkInspect(ctx, found[0].ID, types.NetworkInspectOptions{})
	if err != nil {
		return nil, err
	}
	everywhere, err := docker.NetworkInspect(ctx, "bridge", types.NetworkInspectOptions{})
	return []interface{}{
		len(found), found[0].Name, found[0].Driver, inspected.Name, inspected.Labels, twice.Error(),
		everywhere.Driver, len(everywhere.IPAM.Config),
	}, err
}

func volumes() (interface{}, error) {
	made, err := docker.VolumeCreate(ctx, volume.VolumeCreateBody{Name: "go-vol", Labels: map[string]string{"made-by": "go"}})
	if err != nil {
		return nil, err
	}
	inspected, err := docker.VolumeInspect(ctx, "go-vol")
	return []interface{}{made.Name, inspected.Driver, inspected.Labels}, err
}

func create() (interface{}, error) {
	made, err := docker.ContainerCreate(ctx,
		&container.Config{
			Image:     "busybox",
			OpenStdin: true,
			StdinOnce: true,
			Labels:    map[string]string{"made-by": "go"},
			Cmd:       []string{"sh", "-c", "trap 'exit 7' TERM; echo out; echo err >&2; read line; echo got $line; while :; do sleep 0.1; done"},
		},
		&container.HostConfig{Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: "go-vol", Target: "/data"}}},
		&network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{"go-net": {Aliases: []string{"web"}}}},
		nil, "go-web")
	if err != nil {
		return nil, err
	}
	return []interface{}{len(made.ID), len(made.Warnings)}, docker.ContainerStart(ctx, "go-web", types.ContainerStartOptions{})
}

// follow hears of what happens from here on, in the background.
func follow() (interface{}, error) {
	heard, failed := docker.Events(ctx, types.EventsOptions{
		Since:   "0",
		Filters: filters.NewArgs(filters.Arg("container", "go-web"), filters.Arg("type", "container")),
	})
	ended := make(chan struct{})
	done = func() { <-ended }
	go func() {
		defer close(ended)
		for {
			select {
			case message := <-heard:
				events[strings.SplitN(message.Action, ":", 2)[0]] = true
				if message.Action == "destroy" {
					return
				}
			case <-failed:
				return
			}
		}
	}()
	return nil, nil
}

var done func()

func logs() (interface{}, error) {
	stream, err := docker.ContainerLogs(ctx, "go-web", types.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: true})
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	var out, errs bytes.Buffer
	go func() {
		for start := time.Now(); time.Since(start) < 20*time.Second && (out.Len() == 0 || errs.Len() == 0); {
			time.Sleep(50 * time.Millisecond)
		}
		stream.Close()
	}()
	stdcopy.StdCopy(&out, &errs, stream)
	return []string{out.String(), errs.String()}, nil
}

func attach() (interface{}, error) {
	stream, err := docker.ContainerAttach(ctx, "go-web", types.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true})
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	fmt.Fprintln(stream.Conn, "a line")
	if err := stream.CloseWrite(); err != nil {
		return nil, err
	}
	header := make([]byte, 8)
	if _, err := io.ReadFull(stream.Reader, header); err != nil {
		return nil, err
	}
	line, err := stream.Reader.ReadString('\n')
	return []interface{}{header[0], line}, err
}

func exec() (interface{}, error) {
	made, err := docker.ContainerExecCreate(ctx, "go-web", types.ExecConfig{
		AttachStdin: true, AttachStdout: true, AttachStderr: true, Env: []string{"A=1"},
		Cmd: []string{"sh", "-c", "cat; echo $A; echo err >&2; exit 3"},
	})
	if err != nil {
		return nil, err
	}
	stream, err := docker.ContainerExecAttach(ctx, made.ID, types.ExecStartCheck{})
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	io.WriteString(stream.Conn, "through\n")
	if err := stream.CloseWrite(); err != nil {
		return nil, err
	}
	var out, errs bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &errs, stream.Reader); err != nil {
		return nil, err
	}
	inspected, err := docker.ContainerExecInspect(ctx, made.ID)
	return []interface{}{out.String(), errs.String(), inspected.ExitCode, inspected.Running}, err
}

func resize() (interface{}, error) {
	made, err := docker.ContainerExecCreate(ctx, "go-web", types.ExecConfig{
		AttachStdout: true, Tty: true,
		Cmd: []string{"sh", "-c", "until stty size 2>/dev/null | grep '33 77'; do sleep 0.05; done"},
	})
	if err != nil {
		return nil, err
	}
	stream, err := docker.ContainerExecAttach(ctx, made.ID, types.ExecStartCheck{Tty: true})
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	// an engine takes the stream on before the process is there
	for start := time.Now(); time.Since(start) < 10*time.Second; time.Sleep(50 * time.Millisecond) {
		if err = docker.ContainerExecResize(ctx, made.ID, types.ResizeOptions{Height: 33, Width: 77}); err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	said, err := io.ReadAll(stream.Reader)
	return string(said), err
}

func copyBothWays() (interface{}, error) {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	writer.WriteHeader(&tar.Header{Name: "file", Mode: 0o644, Size: 7})
	io.WriteString(writer, "content")
	writer.Close()
	if err := docker.CopyToContainer(ctx, "go-web", "/data", &archive, types.CopyToContainerOptions{}); err != nil {
		return nil, err
	}
	stat, err := docker.ContainerStatPath(ctx, "go-web", "/data/file")
	if err != nil {
		return nil, err
	}
	back, _, err := docker.CopyFromContainer(ctx, "go-web", "/data/file")
	if err != nil {
		return nil, err
	}
	defer back.Close()
	reader := tar.NewReader(back)
	entry, err := reader.Next()
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(reader)
	return []interface{}{stat.Name, stat.Size, entry.Name, string(content)}, err
}

func stats() (interface{}, error) {
	answer, err := docker.ContainerStats(ctx, "go-web", false)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var said types.StatsJSON
	err = json.NewDecoder(answer.Body).Decode(&said)
	return []interface{}{answer.OSType, said.PidsStats.Current > 0}, err
}

func list() (interface{}, error) {
	found, err := docker.ContainerList(ctx, types.ContainerListOptions{Filters: filters.NewArgs(filters.Arg("label", label))})
	if err != nil {
		return nil, err
	}
	images, err := docker.ImageList(ctx, types.ImageListOptions{Filters: filters.NewArgs(filters.Arg("reference", "busybox"))})
	return []interface{}{len(found), found[0].Names[0], found[0].State, found[0].Mounts[0].Name, len(images)}, err
}

func inspect() (interface{}, error) {
	said, err := docker.ContainerInspect(ctx, "go-web")
	if err != nil {
		return nil, err
	}
	var joined []string
	for name := range said.NetworkSettings.Networks {
		joined = append(joined, name)
	}
	_, text, err := docker.ContainerInspectWithRaw(ctx, "go-web", true)
	var raw map[string]interface{}
	json.Unmarshal(text, &raw)
	_, sized := raw["SizeRootFs"]
	return []interface{}{said.Name, said.State.Status, said.HostConfig.NetworkMode, joined, sized}, err
}

func update() (interface{}, error) {
	_, err := docker.ContainerUpdate(ctx, "go-web", container.UpdateConfig{Resources: container.Resources{CPUShares: 512}})
	if err != nil {
		return nil, err
	}
	top, err := docker.ContainerTop(ctx, "go-web", nil)
	if err != nil {
		return nil, err
	}
	changed, err := docker.ContainerDiff(ctx, "go-web")
	paths := []string{}
	for _, each := range changed {
		paths = append(paths, each.Path)
	}
	return []interface{}{top.Titles, paths}, err
}

func stop() (interface{}, error) {
	ended, failed := docker.ContainerWait(ctx, "go-web", container.WaitConditionNextExit)
	patience := 5 * time.Second
	if err := docker.ContainerStop(ctx, "go-web", &patience); err != nil {
		return nil, err
	}
	select {
	case status := <-ended:
		return status.StatusCode, nil
	case err := <-failed:
		return nil, err
	}
}

func errors() (interface{}, error) {
	_, missing := docker.ContainerInspect(ctx, "nobody")
	_, logless := docker.ContainerLogs(ctx, "nobody", types.ContainerLogsOptions{ShowStdout: true})
	_, unhijacked := docker.ContainerExecAttach(ctx, strings.Repeat("f", 64), types.ExecStartCheck{})
	_, stopped := docker.ContainerExecCreate(ctx, "go-web", types.ExecConfig{Cmd: []string{"true"}})
	_, taken := docker.ContainerCreate(ctx, &container.Config{Image: "busybox"}, nil, nil, nil, "go-web")
	_, imageless := docker.ContainerCreate(ctx, &container.Config{Image: "nothing:1"}, nil, nil, nil, "")
	used := docker.VolumeRemove(ctx, "go-vol", false)
	return map[string]interface{}{
		"missing": client.IsErrNotFound(missing), "logs": client.IsErrNotFound(logless),
		"exec": unhijacked != nil, "stopped": stopped != nil, "taken": strings.Contains(taken.Error(), "already in use"),
		"imageless": client.IsErrNotFound(imageless), "used": strings.Contains(used.Error(), "in use"),
	}, nil
}

func remove() (interface{}, error) {
	return nil, docker.ContainerRemove(ctx, "go-web", types.ContainerRemoveOptions{Force: true})
}

func prune() (interface{}, error) {
	only := filters.NewArgs(filters.Arg("label", label))
	_, err := docker.ContainerCreate(ctx, &container.Config{Image: "busybox", Labels: map[string]string{"made-by": "go"}}, nil, nil, nil, "")
	if err != nil {
		return nil, err
	}
	containers, err := docker.ContainersPrune(ctx, only)
	if err != nil {
		return nil, err
	}
	networks, err := docker.NetworksPrune(ctx, only)
	if err != nil {
		return nil, err
	}
	volumes, err := docker.VolumesPrune(ctx, only)
	if err != nil {
		return nil, err
	}
	_, err = docker.ImagesPrune(ctx, only)
	return []interface{}{len(containers.ContainersDeleted), networks.NetworksDeleted, len(volumes.VolumesDeleted) > 0}, err
}

func heard() (interface{}, error) {
	done()
	var actions []string
	for action := range events {
		actions = append(actions, action)
	}
	sort.Strings(actions)
	return actions, nil
}
