package entra

import (
	"errors"
	"fmt"

	"github.com/valyala/fastjson"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

var errNoTime = errors.New("no time: none of CreationTime, CreationDate, TimeGenerated holds one")

// unwrap adds the fields of the record that Search-UnifiedAuditLog keeps as a string in AuditData. The record's
// own fields go before the wrapper's.
func unwrap(o *decode.JSON, e *ocsf.Event) error {
	text := o.Str("AuditData")
	if decode.DeeperThan([]byte(text), decode.MaxDepth) {
		return fmt.Errorf("AuditData is nested deeper than %d", decode.MaxDepth)
	}
	var p fastjson.Parser
	inner, err := decode.ParseJSON(&p, []byte(text))
	if err != nil {
		return fmt.Errorf("AuditData: %w", err)
	}
	fields := inner.Fields()
	for _, f := range o.Fields() {
		if _, there := fields.Get(f.Name); !there && f.Name != "AuditData" {
			fields = append(fields, f)
		}
	}
	fields.Sort()
	e.Fields = fields
	return nil
}
