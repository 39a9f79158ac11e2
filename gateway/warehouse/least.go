package warehouse

import (
	"context"
	"fmt"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// HasChildren reports whether the rows of some loads, of quarters from one to another,
// are of a number of children or more. It stops counting there: how many more there are
// is for nobody to know.
func (w *Warehouse) HasChildren(
	ctx context.Context, c gateway.ContractID, loads []gateway.LoadID, from, to gateway.Quarter, least int,
) (bool, error) {
	if !validID(string(c)) {
		return false, broken("a contract id that is none")
	}
	if len(loads) == 0 {
		return least <= 0, nil
	}
	var list []string
	for _, load := range loads {
		list = append(list, fmt.Sprint(uint64(load)))
	}
	var found uint64
	err := w.loader.QueryRow(ctx, fmt.Sprintf(
		"SELECT count() FROM (SELECT DISTINCT pid FROM %s WHERE %s IN (%s) AND quarter BETWEEN %d AND %d AND pid != toFixedString('', 16) LIMIT %d)",
		w.rowsTable(c), loadColumn, strings.Join(list, ", "), from, to, max(0, least))).Scan(&found)
	if err != nil {
		return false, internal("looking for enough children in "+string(c), orContext(ctx, err))
	}
	return int(found) >= least, nil
}
