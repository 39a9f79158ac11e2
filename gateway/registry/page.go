package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/pana-exchange/pana/gateway"
)

// reasonsOf is what the sealed reasons are about: opened for another release they
// are not theirs.
func reasonsOf(id gateway.ReleaseID) []byte { return []byte("reasons/" + string(id)) }

// ReleasePage returns the risk page of a release, byte for byte as it was made. It
// reports NotFound while there is none.
func (r *Registry) ReleasePage(ctx context.Context, id gateway.ReleaseID) ([]byte, error) {
	var page []byte
	var digest string
	err := r.read.QueryRowContext(ctx, `SELECT p.page, r.page FROM release_page AS p JOIN release AS r ON r.id = p.release
		WHERE p.release = ?`, id).Scan(&page, &digest)
	if err != nil {
		return nil, missing(err, "release %s has no risk page", id)
	}
	if sum := sha256.Sum256(page); hex.EncodeToString(sum[:]) != digest {
		return nil, internal("reading a risk page", errors.New("it is not the page of its digest"))
	}
	return page, nil
}

// ReleaseReasons opens what a build kept of why each cell is what it is.
func (r *Registry) ReleaseReasons(ctx context.Context, id gateway.ReleaseID) ([]byte, error) {
	var sealed []byte
	err := r.read.QueryRowContext(ctx, `SELECT reasons FROM release_page WHERE release = ?`, id).Scan(&sealed)
	if err != nil {
		return nil, missing(err, "release %s keeps no reasons", id)
	}
	reasons, err := r.opt.Unseal(sealed, reasonsOf(id))
	if err != nil {
		return nil, internal("opening the reasons of a release", err)
	}
	return reasons, nil
}
