package warehouse

import (
	"context"
	"errors"
	"fmt"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/pana-exchange/pana/gateway"
)

// internal describes a failure by what we were doing and the server's code.
// The texts of the server and of the driver are dropped here, because both echo
// data: ClickHouse prints the values that it could not parse or insert. Contexts'
// own errors stay, so that callers recognise them.
func internal(doing string, err error) error {
	if err == nil {
		return nil
	}
	cause := errors.New("the connection failed")
	columnar, _ := errors.AsType[*ch.Exception](err)
	switch exception, ok := errors.AsType[*clickhouse.Exception](err); {
	case ok:
		cause = fmt.Errorf("ClickHouse error %d", exception.Code)
	case columnar != nil:
		cause = fmt.Errorf("ClickHouse error %d", int32(columnar.Code))
	case errors.Is(err, context.Canceled):
		cause = context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		cause = context.DeadlineExceeded
	}
	return &gateway.Error{Kind: gateway.Internal, Err: fmt.Errorf("warehouse: %s: %w", doing, cause)}
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
