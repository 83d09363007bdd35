package proc

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// birth identifies a process beyond its id: the boot and the clock tick it started at. Empty when there is none.
func birth(pid int) string {
	fields := statFields(pid)
	if len(fields) < 20 || fields[0] == "Z" {
		return ""
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || len(boot) < 8 {
		boot = []byte("--------")
	}
	return string(boot[:8]) + "/" + fields[19]
}

// statFields are the fields of /proc/PID/stat from the third (state) on.
func statFields(pid int) []string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	i := bytes.LastIndexByte(data, ')') // the name before it may hold anything
	if i < 0 {
		return nil
	}
	return strings.Fields(string(data[i+1:]))
}

// descendants lists the live processes below pid.
func descendants(pid int) []int {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil
	}
	var all []int
	for _, task := range tasks {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if err != nil {
			continue
		}
		for _, text := range strings.Fields(string(data)) {
			child, err := strconv.Atoi(text)
			if err != nil {
				continue
			}
			all = append(all, child)
			all = append(all, descendants(child)...)
		}
	}
	return all
}

// treeRSS is the resident memory of all descendants of the shim, in bytes. Pages that processes share count for each.
func treeRSS(shim, _ int) int64 {
	var total int64
	for _, pid := range descendants(shim) {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil {
			continue
		}
		if fields := strings.Fields(string(data)); len(fields) > 1 {
			pages, _ := strconv.ParseInt(fields[1], 10, 64)
			total += pages * int64(os.Getpagesize())
		}
	}
	return total
}

// adoptOrphans makes this process the parent of descendants whose own parent ended.
func adoptOrphans() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// childAttr makes a new process group, and the child die with the thread that starts it.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// preferAsVictim makes the kernel end this process before others when memory runs out.
func preferAsVictim(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte("500"), 0)
}

// self is the path that starts this very program again, also after its file was replaced by an upgrade.
func self() (string, error) { return "/proc/self/exe", nil }

// rssUnit turns rusage's peak memory into bytes.
const rssUnit = 1024

// awaitExit returns when process pid, which need not be our child, has ended or ctx is done.
func awaitExit(ctx context.Context, pid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // it is gone, or an old kernel: the caller looks again in a moment
	}
	defer func() { _ = unix.Close(fd) }()
	for ctx.Err() == nil {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(time.Second.Milliseconds()))
		if n > 0 || (err != nil && err != unix.EINTR) {
			return
		}
	}
}

// reapTarget is whom the shim waits for: everybody, since orphans are given to it.
func reapTarget(int) int { return -1 }
