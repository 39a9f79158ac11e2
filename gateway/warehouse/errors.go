package warehouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/pana-exchange/pana/gateway"
)

const passing = "the warehouse cannot do that now; try again later"

// internal describes a failure by what we were doing and the server's code.
// The texts of the server and of the driver are dropped here, because both echo
// data: ClickHouse prints the values that it could not parse or insert. Contexts'
// own errors stay, so that callers recognise them.
func internal(doing string, err error) error {
	if err == nil {
		return nil
	}
	kind, detail := gateway.Internal, ""
	cause := errors.New("the connection failed")
	columnar, _ := errors.AsType[*ch.Exception](err)
	switch exception, ok := errors.AsType[*clickhouse.Exception](err); {
	case ok:
		cause = fmt.Errorf("ClickHouse error %d", exception.Code)
	case columnar != nil:
		cause = fmt.Errorf("ClickHouse error %d", int(columnar.Code))
	case errors.Is(err, context.Canceled):
		cause = context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		cause = context.DeadlineExceeded
	}
	if engineFailed(err) {
		kind, detail = gateway.Unavailable, passing
	}
	return &gateway.Error{Kind: kind, Detail: detail, Err: fmt.Errorf("warehouse: %s: %w", doing, cause)}
}

// engineFailed tells faults that pass from faults of ours: the engine's disk is full,
// read-only or does not do what it is told, or the engine is gone (trust.md 6.2, F7 to
// F11).
func engineFailed(err error) bool {
	if columnar, ok := errors.AsType[*ch.Exception](err); ok {
		return diskCodes[columnar.Code]
	}
	if c := code(err); c != 0 {
		return diskCodes[proto.Error(c)]
	}
	_, network := errors.AsType[*net.OpError](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// diskCodes are ClickHouse's for a disk that fails. StdException is what it makes of
// the failures of the C++ library, which makes and renames its directories.
var diskCodes = map[proto.Error]bool{
	proto.ErrCannotReadFromFileDescriptor: true, proto.ErrCannotWriteToFileDescriptor: true, proto.ErrCannotOpenFile: true,
	proto.ErrCannotCloseFile: true, proto.ErrCannotSeekThroughFile: true, proto.ErrCannotTruncateFile: true,
	proto.ErrCannotFsync: true, proto.ErrNotEnoughSpace: true, proto.ErrSystemError: true, proto.ErrStdException: true,
}

// damagedCodes are ClickHouse's for a part that does not hold what it should: it reads
// less than there is (33, 32, 246), or something else (40, 228).
var damagedCodes = map[int32]bool{32: true, 33: true, 40: true, 228: true, 246: true}

// unverified is internal for a load that cannot be read back. Nothing was acknowledged
// yet, so that whatever the disk has done to it, sending again mends it.
func unverified(c gateway.ContractID, err error) error {
	if !damagedCodes[code(err)] {
		return internal("verifying a load of "+string(c), err)
	}
	return &gateway.Error{
		Kind: gateway.Unavailable, Detail: passing,
		Err: fmt.Errorf("warehouse: a load of %s cannot be read back: ClickHouse error %d", c, code(err)),
	}
}

// broken describes a failure that is ours to explain.
func broken(format string, args ...any) error {
	return &gateway.Error{Kind: gateway.Internal, Err: fmt.Errorf("warehouse: "+format, args...)}
}

// code returns the ClickHouse error code of a driver's error, or 0.
func code(err error) int32 {
	if exception, ok := errors.AsType[*clickhouse.Exception](err); ok {
		return exception.Code
	}
	return 0
}
