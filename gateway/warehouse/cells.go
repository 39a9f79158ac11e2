package warehouse

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// chunkBytes is how much of a release's canonical bytes one row of the cells
// table holds.
const chunkBytes = 1 << 20

// StoreCells stores the published cells of a release in their canonical bytes.
// Storing the same cells again changes nothing, and what an interrupted call
// leaves is never read: [Warehouse.LoadCells] asks by digest.
func (w *Warehouse) StoreCells(ctx context.Context, cells *disclosure.Published) error {
	doing := "storing the cells of " + string(cells.Release())
	var encoded bytes.Buffer
	err := cells.Encode(&encoded)
	if err != nil {
		return err
	}
	chunks := uint32((encoded.Len() + chunkBytes - 1) / chunkBytes) //nolint:gosec // G115: disclosure bounds the bytes
	return insert(ctx, w.builder, doing, "INSERT INTO "+w.cells()+" (release, digest, chunk, chunks, data)",
		func(batch driver.Batch) error {
			for i := range chunks {
				err := batch.Append(string(cells.Release()), cells.Digest(), i, chunks, encoded.Next(chunkBytes))
				if err != nil {
					return err
				}
			}
			return nil
		})
}

// LoadCells reads the published cells of a release back, as the user that can
// read nothing else, and proves that they are the ones with the digest. It
// reports NotFound when the release is not stored under that digest.
func (w *Warehouse) LoadCells(ctx context.Context, release gateway.ReleaseID, digest string) (*disclosure.Published, error) {
	doing := "reading the cells of " + string(release)
	rows, err := w.reader.Query(ctx, `SELECT chunk, chunks, data FROM `+w.cells()+`
		WHERE release = {r:String} AND digest = {d:String} ORDER BY chunk LIMIT 1 BY chunk`,
		named("r", string(release)), named("d", digest))
	if err != nil {
		return nil, internal(doing, orContext(ctx, err))
	}
	defer func() { _ = rows.Close() }()
	var encoded bytes.Buffer
	var next, chunk, chunks uint32
	var data []byte
	for rows.Next() {
		err = rows.Scan(&chunk, &chunks, &data)
		if err != nil {
			return nil, internal(doing, err)
		}
		if chunk != next {
			break
		}
		next++
		encoded.Write(data)
	}
	switch err = rows.Err(); {
	case err != nil:
		return nil, internal(doing, orContext(ctx, err))
	case next == 0:
		return nil, gateway.Errorf(gateway.NotFound, "release %s has no stored cells of the approved digest", release)
	}
	if sum := sha256.Sum256(encoded.Bytes()); next != chunks || hex.EncodeToString(sum[:]) != digest {
		return nil, broken("the stored cells of %s are not those of their digest", release)
	}
	return disclosure.Decode(&encoded)
}

// EraseCells deletes all stored cells of a release, whatever their digest.
func (w *Warehouse) EraseCells(ctx context.Context, release gateway.ReleaseID) error {
	err := w.builder.Exec(ctx, "ALTER TABLE "+w.cells()+" DELETE WHERE release = {r:String} SETTINGS mutations_sync = 2",
		named("r", string(release)))
	if err != nil {
		return internal("erasing the cells of "+string(release), orContext(ctx, err))
	}
	return nil
}
