package api

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
)

//go:embed openapi.yaml
var described []byte

// answered are the methods whose results are answers: the schemas are of what they
// return.
func answered() []any {
	return []any{
		(*exchange.Exchange).Releases, (*exchange.Exchange).Release, (*exchange.Exchange).Risk, (*exchange.Exchange).LookAtCell,
		(*exchange.Exchange).Batches, (*exchange.Exchange).Batch, (*exchange.Exchange).Withdraw, (*exchange.Exchange).Coverage,
		(*exchange.Exchange).UploadsUnderWay, (*exchange.Exchange).PoliciesInForce, (*exchange.Exchange).Proposal,
		(*exchange.Exchange).Leaves, (*exchange.Exchange).ProveLeaf, (*exchange.Exchange).Decision,
		(*exchange.Exchange).Keys, (*exchange.Exchange).NewEpoch, (*exchange.Exchange).RotateKeys,
		(*exchange.Exchange).Agencies, (*exchange.Exchange).APIKeys,
	}
}

// OpenAPI returns the document that describes the API, OpenAPI 3.1 as JSON.
var OpenAPI = sync.OnceValues(func() ([]byte, error) {
	var doc map[string]any
	err := yaml.Unmarshal(described, &doc)
	if err != nil {
		return nil, fmt.Errorf("api: openapi.yaml: %w", err)
	}
	made := newSchemas()
	made.name("Problem", reflect.TypeFor[document]())
	for _, t := range []reflect.Type{reflect.TypeFor[gateway.Text](), reflect.TypeFor[gateway.Table](), reflect.TypeFor[KeyProposal]()} {
		made.of(t)
	}
	for _, method := range answered() {
		t := reflect.TypeOf(method).Out(0)
		if t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		made.of(t)
	}
	components, _ := doc["components"].(map[string]any)
	written, isMap := components["schemas"].(map[string]any)
	if !isMap {
		return nil, errors.New("api: openapi.yaml has no schemas")
	}
	err = over(made.made, written)
	if err != nil {
		return nil, fmt.Errorf("api: openapi.yaml: schemas: %w", err)
	}
	components["schemas"] = made.made
	return json.Marshal(doc)
})

// openapi answers with the description of the API.
func (s *server) openapi(*http.Request) (answer, error) {
	body, err := OpenAPI()
	return answer{media: "application/json", body: body}, err
}
