package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/api"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/inbox"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/gateway/warehouse/engine"
	"github.com/pana-exchange/pana/gateway/witness"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
	"github.com/pana-exchange/pana/policies"
)

// paths are the files of a data directory.
type paths struct {
	data, keyring, identity, registry, engine, inbox string
}

func pathsOf(data string) paths {
	in := func(name string) string { return filepath.Join(data, name) }
	return paths{data, in("keyring.age"), in("identity.txt"), in("registry.db"), in("engine"), in("inbox")}
}

// lock takes a data directory for this process. One that others may enter is
// refused, and so is a second owner, in one line that names the first.
func lock(data, command string) (unlock func(), err error) {
	err = seclude()
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(data)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, gateway.Errorf(gateway.Invalid, "%s is open to others; close it: chmod 700 %s", data, data)
	}
	f, err := os.OpenFile(filepath.Join(data, "lock"), os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the operator names the directory
	if err != nil {
		return nil, usageError{errors.New("the data directory cannot be used: " + data + "; make it with: pana keys init")}
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		owner := make([]byte, 100)
		n, _ := f.Read(owner)
		_ = f.Close()
		return nil, gateway.Errorf(gateway.Conflict, "%s is in use by %s; use a client command (pana upload, release, query) or stop it first",
			data, strings.TrimSpace(string(owner[:n])))
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte("pana "+command+", process "+strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("writing the lock file: %w", err)
	}
	return func() { _ = f.Close() }, nil // closing gives the lock back
}

// A node is a whole gateway in this process: its engine or cluster, its registry,
// its exchange and its HTTP server.
type node struct {
	owner    string // the command, for whoever finds the directory locked
	config   *configs.Config
	address  string // of the API, with the port that was given
	keys     *pseudonym.Keyring
	saveKeys exchange.SaveKeys
	registry *registry.Registry
	exchange *exchange.Exchange
	engine   *engine.Engine // nil where an external server is used
	server   *http.Server
	listener net.Listener
	house    *warehouse.Warehouse
	witness  *witness.Witnesses // nil where none is configured
	health   health
	log      *slog.Logger
	closers  []func() error // in the order of opening
}

// open opens everything but the listener, in the order in which each part needs
// the others. What was opened is closed again when a later part fails.
func (n *node) open(ctx context.Context, c *cli) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	unlock, err := lock(n.config.Data, n.owner)
	if err != nil {
		return err
	}
	n.closers = append(n.closers, func() error { unlock(); return nil })
	keyring, identity := n.config.Keyring()
	by, err := custodians(identity, n.config.Keys.Officer)
	if err != nil {
		return err
	}
	n.keys, err = openRing(keyring, by)
	if err != nil {
		return err
	}
	n.saveKeys = saver(keyring, by)
	n.registry, err = openRegistry(ctx, pathsOf(n.config.Data), n.keys, c)
	if err != nil {
		return err
	}
	n.closers = append(n.closers, n.registry.Close)
	err = n.openWitnesses(ctx, c)
	if err != nil {
		return err
	}
	n.house, err = n.openWarehouse(ctx, c)
	if err != nil {
		return err
	}
	n.closers = append(n.closers, n.house.Close)
	n.exchange, err = n.openExchange(ctx, c, n.house)
	return err
}

func openRegistry(ctx context.Context, p paths, keys *pseudonym.Keyring, c *cli) (*registry.Registry, error) {
	receipts := keys.Envelope(rand.Reader, "receipts")
	return registry.Open(ctx, registry.Options{
		Path: p.registry, Now: c.now, Rand: rand.Reader, Signer: keys.Signer(), Verifier: keys.Verifier(), Origin: keys.Origin(),
		Seal: receipts.Seal, Unseal: receipts.Open,
	})
}

// openWarehouse connects to the configured server, or starts the embedded engine.
func (n *node) openWarehouse(ctx context.Context, c *cli) (*warehouse.Warehouse, error) {
	if len(n.config.ClickHouse.Addresses) > 0 {
		return n.openCluster(ctx)
	}
	e, err := engine.Start(ctx, engine.Options{Dir: pathsOf(n.config.Data).engine, MaxMemory: n.config.Engine.MaxMemory, Progress: c.err})
	if err != nil {
		return nil, err
	}
	n.engine = e
	n.closers = append(n.closers, e.Stop)
	return warehouse.Open(ctx, warehouse.Options{
		Addresses: []string{e.Addr()}, Name: n.config.ClickHouse.Name,
		Password: func(user string) string { return e.Password(engine.User(user)) },
	})
}

// openCluster connects to an external ClickHouse; its passwords lie in files.
func (n *node) openCluster(ctx context.Context) (*warehouse.Warehouse, error) {
	passwords, err := n.config.ClickHousePasswords()
	if err != nil {
		return nil, err
	}
	tls, err := n.config.ClickHouseTLS()
	if err != nil {
		return nil, err
	}
	return warehouse.Open(ctx, warehouse.Options{
		Addresses: n.config.ClickHouse.Addresses, Name: n.config.ClickHouse.Name, Password: passwords, TLS: tls,
	})
}

func (n *node) openExchange(ctx context.Context, c *cli, house *warehouse.Warehouse) (*exchange.Exchange, error) {
	contracts, err := configs.Contracts()
	if err != nil {
		return nil, err
	}
	// Releases of two lineages over the same children would be two looks at each number
	// (disclosure.md 2.0): which of these is approved first is the gateway's for ever.
	definitions, err := configs.Definitions()
	if err != nil {
		return nil, err
	}
	spools, err := spoolDir(n.config.Data)
	if err != nil {
		return nil, err
	}
	pieces, err := n.openInbox(c)
	if err != nil {
		return nil, err
	}
	inner, err := n.inner()
	if err != nil {
		return nil, err
	}
	return exchange.New(ctx, exchange.Options{
		Inner: inner, Blind: n.mayBlind(),
		Registry: n.registry, Warehouse: house, Inbox: pieces, Dir: spools, Keys: n.keys, Contracts: contracts,
		Definitions: definitions, Now: c.now, Rand: rand.Reader, Log: n.log,
		Witnessed: n.witnessed(), Elapsed: elapsed(),
		Twin: twin, SaveKeys: n.saveKeys, FreeDisk: n.freeDisk, Limits: n.exchangeLimits(),
	})
}

// openInbox opens the place where uploads in pieces wait until they are whole.
func (n *node) openInbox(c *cli) (*inbox.Inbox, error) {
	sealed := n.keys.Envelope(rand.Reader, "inbox")
	return inbox.New(inbox.Options{
		Dir: pathsOf(n.config.Data).inbox, Seal: sealed.Seal, Open: sealed.Open, Now: c.now, Free: n.freeDisk,
		Limits: n.inboxLimits(),
	})
}

// policySet compiles a folder of policies, or those that are built in.
func policySet(ctx context.Context, dir string) (*policies.Set, error) {
	if dir == "" {
		return policies.Embedded(ctx)
	}
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return nil, usageError{errors.New("there is no folder of policies " + dir)}
	}
	return policies.Compile(ctx, os.DirFS(dir))
}

// freeDisk is how much space there is where there is least: the engine's directory may
// be a disk of its own.
func (n *node) freeDisk() (uint64, error) {
	least := uint64(math.MaxUint64)
	for _, dir := range []string{n.config.Data, pathsOf(n.config.Data).engine} {
		var s unix.Statfs_t
		err := unix.Statfs(dir, &s)
		if errors.Is(err, fs.ErrNotExist) && dir != n.config.Data {
			continue // ClickHouse is elsewhere
		}
		if err != nil {
			return 0, err
		}
		least = min(least, s.Bavail*uint64(s.Bsize)) //nolint:gosec // a block size is positive
	}
	return least, nil
}

// listen binds the API's address. configs has refused an address beyond this
// machine without a certificate.
func (n *node) listen(ctx context.Context, c *cli) error {
	handler, err := api.New(api.Options{
		Describe: describe,
		Exchange: n.exchange, Log: n.log, Now: c.now, TableSchema: configs.TableSchema, Template: configs.Template,
		Ready: n.ready, Limits: n.apiLimits(),
	})
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", n.config.Listen)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return gateway.Errorf(gateway.Conflict, "%s is in use; choose another address with --listen", n.config.Listen)
		}
		return fmt.Errorf("listening on %s: %w", n.config.Listen, err)
	}
	n.listener = api.Listener(listener, n.config.Limits.Connections)
	n.closers = append(n.closers, func() error {
		err := n.listener.Close()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		return err
	})
	scheme := "http"
	if n.config.TLS.Certificate != "" {
		scheme = "https"
	}
	n.address = scheme + "://" + n.listener.Addr().String()
	n.server = api.Server(handler, n.log, n.heads())
	return nil
}

// serve answers until ctx ends or the engine does; then it drains uploads for the
// configured time and aborts the rest.
func (n *node) serve(ctx context.Context) error {
	base, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	n.server.BaseContext = func(net.Listener) context.Context { return base }
	var background sync.WaitGroup
	background.Go(func() { n.exchange.Run(base) })
	if n.witness != nil {
		background.Go(func() { n.witness.Run(base) })
	}
	failed := make(chan error, 1)
	go func() {
		if n.config.TLS.Certificate != "" {
			failed <- n.server.ServeTLS(n.listener, n.config.TLS.Certificate, n.config.TLS.Key)
			return
		}
		failed <- n.server.Serve(n.listener)
	}()
	var ended <-chan struct{}
	if n.engine != nil {
		ended = n.engine.Done()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	case <-ended:
		abort() // no upload can come to its end any more
		err = fmt.Errorf("%w; start again, nothing that was accepted is lost", n.engine.Err())
	}
	drain, cancel := context.WithTimeout(base, n.config.Drain)
	defer cancel()
	if n.server.Shutdown(drain) != nil {
		abort()
		_ = n.server.Close() // what has not drained by now is aborted
	}
	abort()
	background.Wait()
	return err
}

func (n *node) close() error {
	var errs []error
	for _, closer := range slices.Backward(n.closers) {
		errs = append(errs, closer())
	}
	n.closers = nil
	return errors.Join(errs...)
}
