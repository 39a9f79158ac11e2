// Package engine is the embedded ClickHouse: a real one, as a locked-down child
// process of the program that imports it.
//
// Call [Child] as the first line of main, and of every TestMain that needs an
// engine: the child is the same executable, started again. Then [Start] gives a
// running engine, [Engine.Addr] its address for clickhouse-go and
// [Engine.Password] a password for one of its four users; [Engine.Stop] ends
// it. [Fetch] finds the library or fetches it, once for each machine; Start calls it.
// Everything above this package speaks to the engine exactly as it would to a
// cluster, over the native protocol.
//
// Databases come in triples, one triple a warehouse: rows_<name> holds what was
// uploaded, build_<name> what a release needs while it is built, cells_<name>
// the published cells. The users' rights follow the prefixes:
//
//	admin    everything; for the schema, at start only
//	loader   rows_*: SELECT, INSERT, ALTER DELETE, OPTIMIZE; no DDL
//	builder  rows_*: SELECT; build_*: CREATE and DROP TABLE, TRUNCATE, INSERT, SELECT, OPTIMIZE;
//	         cells_*: INSERT, SELECT, ALTER DELETE
//	reader   cells_*: SELECT, read-only, under limits that it cannot raise (10,000 rows a
//	         result, 10 s, 4 queries at a time): page through what is longer
//
// loader and builder may also read what system.parts and system.mutations say
// about their own tables. Passwords are made anew at every start, live in
// memory only and are never written anywhere; the engine gets their SHA-256.
//
// What keeps the engine closed: it listens on the loopback only; the
// passwordless user that the launcher itself needs has one right, one session
// and a quota that is used up before the first client comes; it keeps no log and
// no query log, because ClickHouse's error lines echo values; its files are
// readable by their owner only; it dumps no core. It ends when its parent does,
// however the parent ends: its standard input is a pipe that only the parent
// holds. A crash of the engine does not harm the parent: [Engine.Done] is closed.
//
// It also ends when a write to a file fails, because the disk is full for one. The
// library would drop what was not written and go on, and acknowledge what it then loses
// at its next start; so the child guards what the library calls to write, and ends the
// process with everything that was acknowledged on disk. [Engine.Err] says so.
//
// It needs Linux on amd64, for that guard, with /dev/ptmx: the launcher outlives a stranger's failed
// handshake only when its standard input is a terminal, so the child makes itself one.
//
// The package does not create databases, does not restart a dead engine, and does
// not use a clickhouse binary that happens to be installed: any version could
// be there.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// A User is a database user of the engine.
type User string

// The users of the engine; see the package comment for what each may do.
const (
	Admin   User = "admin"
	Loader  User = "loader"
	Builder User = "builder"
	Reader  User = "reader"
)

var users = [...]User{Admin, Loader, Builder, Reader}

// Options say where and how an engine runs.
type Options struct {
	// Dir is the data directory. Required. It is made 0700; one engine at a
	// time may run on it.
	Dir string
	// MaxMemory bounds the engine's memory in bytes. Default: a quarter of what
	// the machine, or the control group, has. Not below 256 MiB.
	MaxMemory uint64
	// Progress is told about a fetch of the library. Default: nobody.
	Progress io.Writer
	// Rand makes the passwords. Default: crypto/rand.
	Rand io.Reader
}

const (
	startLimit = 60 * time.Second // for all attempts together, the fetch not counted
	portTries  = 5
	stopLimit  = 5 * time.Second // a child that has not ended by then is killed
	minMemory  = 256 << 20
)

// An Engine is a running ClickHouse.
type Engine struct {
	child    *child
	addr     string
	password func(User) string // a closure, so that no print of an Engine shows it
	stop     func() error
}

// Start runs an engine on a directory and returns when it answers. It stops
// waiting when ctx ends; the engine's life is not bound to ctx.
func Start(ctx context.Context, o Options) (*Engine, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	library, err := Fetch(ctx, FetchOptions{Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	l, err := prepare(o)
	if err != nil {
		return nil, err
	}
	l.library = library
	e, err := l.start(ctx)
	if err != nil {
		return nil, errors.Join(err, l.unlock())
	}
	return e, nil
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("engine: Options.Dir is required")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, fmt.Errorf("engine: data directory: %w", err)
	}
	o.Dir = dir
	if o.MaxMemory == 0 {
		if o.MaxMemory, err = quarterOfMemory(); err != nil {
			return o, fmt.Errorf("engine: reading how much memory there is (set Options.MaxMemory): %w", err)
		}
		o.MaxMemory = max(o.MaxMemory, minMemory)
	}
	if o.MaxMemory < minMemory {
		return o, fmt.Errorf("engine: Options.MaxMemory is %d bytes; ClickHouse needs at least %d", o.MaxMemory, minMemory)
	}
	return o, nil
}

// A launch is one engine being brought up on one locked directory.
type launch struct {
	dir, library string
	config       configuration
	password     func(User) string
	unlock       func() error
}

func prepare(o Options) (*launch, error) {
	if err := ownDirectory(o.Dir); err != nil {
		return nil, err
	}
	unlock, err := lockDirectory(o.Dir)
	if err != nil {
		return nil, err
	}
	password, err := newPasswords(o.Rand)
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	return &launch{
		dir:      o.Dir,
		config:   newConfiguration(o.Dir, o.MaxMemory, password),
		password: password,
		unlock:   unlock,
	}, nil
}

// start tries until the engine answers or there is no sense in trying: a port
// may be taken between choosing it and listening on it, and the engine of a
// parent that was killed holds its lock for a moment longer.
func (l *launch) start(ctx context.Context) (*Engine, error) {
	ports := 0
	locked := time.NewTimer(5 * time.Second)
	defer locked.Stop()
	for {
		e, err := l.try(ctx)
		if err == nil {
			return e, nil
		}
		f, ok := errors.AsType[*StartError](err)
		switch {
		case ok && f.Code == codeNetwork && ports+1 < portTries:
			ports++
		case ok && f.Code == codeCannotOpenFile:
			select {
			case <-locked.C:
				return nil, err
			case <-ctx.Done():
				return nil, err
			case <-time.After(100 * time.Millisecond):
			}
		default:
			return nil, err
		}
	}
}

// try runs one child on one port.
func (l *launch) try(ctx context.Context) (*Engine, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	l.config.Port = port
	if err := l.config.write(l.dir); err != nil {
		return nil, err
	}
	c, err := spawn(ctx, l.library, l.config.path(l.dir))
	if err != nil {
		return nil, err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	// The password is shown to the port only after the child said that it
	// listens there: somebody else could have taken it meanwhile.
	if err := c.awaitListening(ctx); err != nil {
		return nil, errors.Join(err, c.end())
	}
	if err := ping(ctx, addr, l.password(Admin)); err != nil {
		return nil, errors.Join(err, c.end())
	}
	return &Engine{
		child:    c,
		addr:     addr,
		password: l.password,
		stop:     sync.OnceValue(func() error { return errors.Join(c.end(), l.unlock()) }),
	}, nil
}

// Addr returns host and port of the native protocol, on the loopback.
func (e *Engine) Addr() string { return e.addr }

// Password returns the password of a user, or "" for a user there is not. Never log it.
func (e *Engine) Password(u User) string { return e.password(u) }

// Done returns a channel that is closed when the engine has ended, by Stop or
// by itself.
func (e *Engine) Done() <-chan struct{} { return e.child.done }

// Err says why the engine has ended by itself. It is nil while it runs.
func (e *Engine) Err() error {
	select {
	case <-e.Done():
	default:
		return nil
	}
	if e.child.diskFailed() {
		return errors.New("engine: it ended before it would lose data: " + diskHint)
	}
	return errors.New("engine: it ended by itself")
}

// Pid returns the process id of the child.
func (e *Engine) Pid() int { return e.child.cmd.Process.Pid }

// Stop ends the engine and waits until it has. What it acknowledged is on disk:
// ending it is no different from a crash. Stop may be called again.
func (e *Engine) Stop() error { return e.stop() }

// ownDirectory makes dir, or tightens it: nobody else may read what is in it.
func ownDirectory(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("engine: data directory: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // G302 is about files; a directory needs its x
		return fmt.Errorf("engine: data directory: %w", err)
	}
	return nil
}
