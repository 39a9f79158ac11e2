package engine

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

func umask() { unix.Umask(0o077) }

func noCore() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbidding core dumps: %w", err)
	}
	return nil
}

// detach gives the child a session, and so a process group, of its own: Ctrl-C
// reaches the gateway first, and the child has no controlling terminal.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// takeTerminal puts one end of a new pseudo-terminal, whose other end stays
// silent, in the place of standard input, and returns the pipe that was there.
func takeTerminal() (*os.File, error) {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a pseudo-terminal: %w", err)
	}
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return nil, fmt.Errorf("unlocking the pseudo-terminal: %w", err)
	}
	n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil {
		return nil, fmt.Errorf("numbering the pseudo-terminal: %w", err)
	}
	slave, err := unix.Open(fmt.Sprintf("/dev/pts/%d", n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the pseudo-terminal's other end: %w", err)
	}
	pipe, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("keeping the parent's pipe: %w", err)
	}
	if err := unix.Dup3(slave, 0, 0); err != nil {
		return nil, fmt.Errorf("taking the pseudo-terminal: %w", err)
	}
	return os.NewFile(uintptr(pipe), "parent"), nil
}

// quarterOfMemory returns a quarter of the machine's memory, or of the control
// group's if that is less.
func quarterOfMemory() (uint64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("sysinfo: %w", err)
	}
	total := info.Totalram * uint64(info.Unit)
	if limit, ok := groupLimit(); ok && limit < total {
		total = limit
	}
	return total / 4, nil
}

// groupLimit reads the memory limit of the control group, version 2 or 1, as it
// is seen from inside a container. Without one the machine's memory counts.
func groupLimit() (uint64, bool) {
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		b, err := os.ReadFile(path) //nolint:gosec // two fixed paths
		if err != nil {
			continue
		}
		var limit uint64
		_, err = fmt.Sscan(string(b), &limit) // "max" is no number: no limit
		return limit, err == nil
	}
	return 0, false
}

// group makes cancelling cmd end the processes it started too.
func group(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
