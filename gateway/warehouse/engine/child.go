package engine

import (
	"io"
	"os"
	"runtime/debug"

	"github.com/ebitengine/purego"
)

// childVariable marks the environment of a child; its arguments are the library
// and the configuration.
const childVariable = "PANA_ENGINE_CHILD"

// statements are all that the closed default user ever runs, and all that its
// quota allows. The second sleeps for thirty years. Only TCP is opened.
const statements = "SYSTEM START LISTEN TCP; " +
	"SELECT sum(sleepEachRow(1)) FROM numbers(1000000000) " +
	"SETTINGS function_sleep_max_microseconds_per_block = 3000000000, max_block_size = 1"

// Exit codes of a child.
const (
	exitParentGone = 0
	exitFailed     = 3
	exitDisk       = 4 // by the guard: a write to a file failed
)

// Child runs the engine and never returns if this process was started as one;
// otherwise it returns at once. It belongs on the first line of main and of
// TestMain, before anything is read, opened or started.
func Child() {
	if os.Getenv(childVariable) != "1" {
		return
	}
	if len(os.Args) != 4 {
		fail("started without a library and a configuration")
	}
	lockDown()
	parent, err := takeTerminal()
	if err != nil {
		fail(err.Error())
	}
	go endWith(parent)
	run(os.Args[2], os.Args[3])
}

// lockDown closes what would let this process's memory or files be read.
// It is called before the library loads and makes threads of its own.
func lockDown() {
	debug.SetTraceback("none")
	umask()
	if err := noCore(); err != nil {
		fail(err.Error())
	}
}

// endWith ends this process when nobody holds the other end of its standard
// input any more, which the kernel sees to even after kill -9 of the parent.
func endWith(parent io.Reader) {
	_, _ = io.Copy(io.Discard, parent)
	os.Exit(exitParentGone)
}

// entry is the library's function that is ClickHouse's command line.
const entry = "chdb_query_cmdline"

// run loads the library and turns this process into a ClickHouse server. The
// call returning at all is a failure: ClickHouse said why on standard error.
func run(library, config string) {
	handle, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		fail("the library cannot be loaded: " + err.Error())
	}
	symbol, err := purego.Dlsym(handle, entry)
	if err != nil {
		fail("the library is not the one that this program knows: " + err.Error())
	}
	err = guardWrites(library, handle)
	if err != nil {
		fail(err.Error())
	}
	var query func(argc int32, argv **byte) uintptr
	purego.RegisterFunc(&query, symbol)
	// --interactive: without it, the launcher makes every error of a handshake
	// (a wrong password, a byte of nonsense) end the whole process, so that any
	// local user could end the engine. It asks for a terminal as standard
	// input; takeTerminal made one.
	argv := cStrings("clickhouse-local", "--interactive", "--config-file="+config, "--query="+statements)
	query(int32(len(argv)-1), &argv[0]) //nolint:gosec // four arguments
	os.Exit(exitFailed)
}

// cStrings are arguments as C wants them. purego keeps what it is given alive
// for the call, and Go's collector does not move what was allocated.
func cStrings(args ...string) []*byte {
	argv := make([]*byte, 0, len(args)+1)
	for _, a := range args {
		b := append([]byte(a), 0)
		argv = append(argv, &b[0])
	}
	return append(argv, nil)
}

// fail says why in a form that the parent recognises, and ends the child.
func fail(why string) {
	_, _ = io.WriteString(os.Stderr, childComplaint+why+"\n")
	os.Exit(exitFailed)
}
