package main

import (
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines"
)

// inner returns what asks the key server that the keyring names; nil where it names
// none, or where only blind batches are taken.
func (n *node) inner() (pipelines.Inner, error) {
	s, public := n.config.KeyServer, n.keys.KeyServer()
	switch {
	case public == "" && (s.Address != "" || len(s.Contracts) > 0):
		return nil, gateway.Errorf(gateway.Invalid,
			"keyserver: the keyring names no key server; that is chosen once: pana keys init --keyserver-key")
	case s.Address == "":
		return nil, nil
	}
	if err := private(s.Token); err != nil {
		return nil, err
	}
	client, err := keyServerClient(s.Address, public, s.Token, s.Authority)
	if err != nil {
		return nil, err
	}
	return client.Evaluate, nil
}

func (n *node) mayBlind() []gateway.ContractID {
	ids := make([]gateway.ContractID, len(n.config.KeyServer.Contracts))
	for i, id := range n.config.KeyServer.Contracts {
		ids[i] = gateway.ContractID(id)
	}
	return ids
}
