package exchange

import (
	"context"
	"errors"
	"fmt"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// evidenced stops what must not happen unwitnessed (trust.md 4.1). A question needs
// only its leaf (decisions.md 21).
func (x *Exchange) evidenced() error {
	if x.Witnessed == nil {
		return nil
	}
	return x.Witnessed()
}

// LogCheckpoint returns the checkpoint that anybody may see: the newest that enough
// witnesses signed, or where none is configured the newest. Where witnesses are
// configured and have not signed yet there is none: whoever trusts on first use what
// nobody cosigned could be shown another log than everybody else (trust.md 4.3). Officers
// have the newest from the audit's own address.
func (x *Exchange) LogCheckpoint(ctx context.Context) (string, error) {
	if x.Witnessed != nil {
		w, err := x.Registry.Witnessed(ctx)
		if err == nil && w.Checkpoint == "" {
			err = gateway.Errorf(gateway.Unwitnessed, "no witness has signed the ledger yet; come back in some minutes")
		}
		return w.Checkpoint, err
	}
	return x.Registry.Checkpoint(ctx)
}

// LogTile returns a tile of hashes by its path in C2SP tlog-tiles. Anybody may see it:
// hashes of leaves with salted commitments say nothing. Tiles of leaves are
// [Exchange.LogEntries].
func (x *Exchange) LogTile(ctx context.Context, path string) ([]byte, error) {
	return x.tile(ctx, path, false)
}

// LogEntries returns a tile of leaves. Its reading is logged.
func (x *Exchange) LogEntries(ctx context.Context, caller gateway.Caller, path string) ([]byte, error) {
	_, err := x.allow(ctx, caller, gateway.ActReadAudit)
	if err != nil {
		return nil, err
	}
	data, err := x.tile(ctx, path, true)
	if err != nil {
		return nil, err
	}
	_, err = x.Registry.Append(ctx, ledger.Entry{Event: ledger.AuditExport, Actor: caller.Key, Outcome: ledger.Done})
	if err != nil {
		return nil, fmt.Errorf("logging the reading: %w", err)
	}
	return data, nil
}

func (x *Exchange) tile(ctx context.Context, path string, entries bool) ([]byte, error) {
	t, err := ledger.ParseTile(path)
	if err != nil || t.Entries() != entries {
		return nil, gateway.Errorf(gateway.NotFound, "that is no path of the log; they are those of C2SP tlog-tiles, such as tile/0/000.p/7")
	}
	data, err := x.Registry.Tile(ctx, t)
	if errors.Is(err, ledger.ErrNoTile) {
		return nil, gateway.Errorf(gateway.NotFound, "the log has no such tile, or not yet")
	}
	return data, err
}

// ProveLeaf returns a leaf of the ledger and its place under a checkpoint: the newest
// that witnesses signed, when it holds the leaf, or else one of this moment.
func (x *Exchange) ProveLeaf(ctx context.Context, caller gateway.Caller, index uint64) (ledger.Evidence, error) {
	_, err := x.allow(ctx, caller, gateway.ActReadAudit)
	if err != nil {
		return ledger.Evidence{}, err
	}
	_, err = x.Registry.Append(ctx, ledger.Entry{Event: ledger.AuditRead, Actor: caller.Key, Outcome: ledger.Done})
	if err != nil {
		return ledger.Evidence{}, fmt.Errorf("logging the reading: %w", err)
	}
	return x.Registry.ProveLeaf(ctx, index)
}
