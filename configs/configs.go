// Package configs holds everything about a deployment that is data and not code:
// the contracts of the sectors, their code lists, the definitions of releases,
// and the settings of the gateway itself.
//
// The embedded files are read with [Contracts], [CodeLists] and [Definition];
// [LoadContracts], [LoadCodeLists] and [LoadDefinition] read the same layout
// from a folder: contracts/*.yaml, codelists/*.csv and cubes/*.yaml. [Crosswalks] says
// how codes of one list are said in another. [Load]
// reads gateway.yaml. An agency's own tools get [TableSchema] and [Template].
//
// Reading is strict. A key that is unknown, doubled or misplaced, a code list
// that does not exist, a rule about a field that does not exist: each is refused
// with file, line and reason, all of them at once. What is accepted needs no
// further checks, and nothing about a sector is in Go.
//
// The package will not read a secret: settings name files that hold secrets.
package configs

import (
	"embed"
	"io/fs"
	"sync"

	"github.com/pana-exchange/pana/gateway"
)

//go:embed messages/*.yaml contracts/*.yaml codelists/*.csv codelists/codelists.yaml crosswalks/*.csv crosswalks/crosswalks.yaml
//go:embed cubes/*.yaml cubes/shared/*.yaml
var embedded embed.FS

// sectors are contracts with the code lists that they use.
type sectors struct {
	contracts []*gateway.Contract
	lists     map[gateway.CodeListID]*gateway.CodeList
}

var embeddedSectors = sync.OnceValues(func() (sectors, error) { return loadSectors(embedded) })

// Contracts returns the embedded contracts in the order in which
// contracts/common.yaml names them. They are shared: nobody may modify them.
func Contracts() ([]*gateway.Contract, error) {
	s, err := embeddedSectors()
	return s.contracts, err
}

// CodeLists returns the embedded code lists. They are shared: nobody may modify
// them.
func CodeLists() (map[gateway.CodeListID]*gateway.CodeList, error) {
	s, err := embeddedSectors()
	return s.lists, err
}

// LoadContracts reads the contracts of a folder, and the code lists beside them.
func LoadContracts(fsys fs.FS) ([]*gateway.Contract, error) {
	s, err := loadSectors(fsys)
	return s.contracts, err
}

func loadSectors(fsys fs.FS) (sectors, error) {
	lists, err := LoadCodeLists(fsys)
	if err != nil {
		return sectors{}, err
	}
	contracts, err := loadContracts(fsys, lists)
	if err != nil {
		return sectors{}, err
	}
	return sectors{contracts, lists}, nil
}
