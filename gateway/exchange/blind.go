package exchange

import (
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// mayBlind refuses a batch that comes blind where that is not agreed upon. It is off
// unless the operator names the contract, because of a blind batch nothing about its
// children can be checked that the agency did not (trust.md 5.4).
func (x *Exchange) mayBlind(u Upload) error {
	switch {
	case !u.Blind:
		return nil
	case x.keys.ring().KeyServer() == "":
		return gateway.Errorf(gateway.Forbidden, "this installation has no key server, and takes no blind batches")
	case !slices.Contains(x.Blind, u.Contract):
		return gateway.Errorf(gateway.Forbidden, "batches of %s may not come blind here; the operator allows it by keyserver.contracts", u.Contract)
	case u.Manifest.Reject != gateway.RejectBatch:
		// What the agency left out of it nobody would count.
		return gateway.Errorf(gateway.Invalid, "a blind batch is sent whole: reject is %s", gateway.RejectBatch)
	}
	return nil
}
