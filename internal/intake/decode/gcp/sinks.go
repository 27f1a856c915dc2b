package gcp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// rowPayload is the column that BigQuery has for protoPayload.
const rowPayload = "protopayload_auditlog."

// isRow matches a row of a sink's table in BigQuery.
func isRow(o *decode.JSON) bool { return o.Has(rowPayload+"methodName") && o.Has("timestamp") }

// row gives a row's columns LogEntry's names.
func row(o *decode.JSON, e *ocsf.Event) error {
	at, ok := decode.ParseTime(strings.TrimSuffix(o.Str("timestamp"), " UTC"))
	if !ok {
		return errors.New("timestamp is not a time")
	}
	e.Time, e.Source, e.Layer = at, "gcp/audit", tenant.LayerCloud
	e.Cloud = &ocsf.Cloud{Provider: "gcp"}
	e.Fields = slices.Clone(e.Fields)
	for i, f := range e.Fields {
		if name, ok := strings.CutPrefix(f.Name, rowPayload); ok {
			e.Fields[i].Name = "protoPayload." + name
		}
	}
	e.Fields.Sort()
	v := &decode.View{Event: e}
	addShipped(v)
	audited(v)
	return nil
}

// isPushed matches a message of Pub/Sub, pushed or pulled, that holds an entry in base64.
func isPushed(o *decode.JSON) bool {
	if !o.Has("message.data") || !o.Has("message.messageId") && !o.Has("message.message_id") && !o.Has("message.publishTime") {
		return false
	}
	text, err := base64.StdEncoding.DecodeString(o.Str("message.data"))
	return err == nil && strings.Contains(string(text), `"protoPayload"`)
}

func pushed(o *decode.JSON, e *ocsf.Event) error {
	text, err := base64.StdEncoding.DecodeString(o.Str("message.data"))
	if err != nil {
		return fmt.Errorf("message.data: %w", err)
	}
	inner, err := decode.Inner(string(text))
	if err != nil {
		return fmt.Errorf("message.data: %w", err)
	}
	if !isEntry(inner) {
		return errors.New("message.data: an entry without a method or a timestamp")
	}
	var outer ocsf.Fields
	for _, f := range o.Fields() {
		if f.Name != "message.data" {
			outer = append(outer, f)
		}
	}
	e.Fields = inner.Fields()
	decode.AddFields(e, outer...)
	return entry(inner, e)
}
