package state

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"reflect"
	"strings"
	"unicode/utf8"
)

// table describes how one model is kept: its columns in stored order, the last of which is the checksum of the
// others. Fields are strings, int64, bool or []byte and nothing else, so that every dialect stores them alike.
type table struct {
	name    string
	model   reflect.Type
	columns []column
	keys    []string
}

type column struct {
	name  string
	field int
}

const sumColumn = "sum"

// describe reads the bun tags of a model. It panics on a model that the store can't keep: that is a fault of the
// program, found by its first test.
func describe(model any) *table {
	t := &table{model: reflect.TypeOf(model)}
	for i := range t.model.NumField() {
		f := t.model.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("bun"), ",")
		if of, ok := strings.CutPrefix(name, "table:"); ok {
			t.name = of
			continue
		}
		switch k := f.Type.Kind(); {
		case k == reflect.String, k == reflect.Int64, k == reflect.Bool:
		case k == reflect.Slice && f.Type.Elem().Kind() == reflect.Uint8:
		default:
			panic(fmt.Sprintf("%s.%s: a column can't be a %s", t.model, f.Name, f.Type))
		}
		t.columns = append(t.columns, column{name, i})
		if strings.Contains(opts, "pk") {
			t.keys = append(t.keys, name)
		}
	}
	if t.name == "" || len(t.keys) == 0 || t.columns[len(t.columns)-1].name != sumColumn {
		panic(fmt.Sprintf("%s: a model needs a table, a key, and the checksum as its last column", t.model))
	}
	return t
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum covers the table's name and every column but the checksum itself; each value is preceded by its length,
// so that no two contents read the same.
func (t *table) checksum(row reflect.Value) int64 {
	b := append(make([]byte, 0, 512), t.name...)
	for _, c := range t.columns[:len(t.columns)-1] {
		switch f := row.Field(c.field); f.Kind() {
		case reflect.String:
			s := f.String()
			b = append(binary.BigEndian.AppendUint64(append(b, 's'), uint64(len(s))), s...)
		case reflect.Int64:
			b = binary.BigEndian.AppendUint64(append(b, 'i'), uint64(f.Int()))
		case reflect.Bool:
			b = append(b, 'b', 0)
			if f.Bool() {
				b[len(b)-1] = 1
			}
		default:
			s := f.Bytes()
			b = append(binary.BigEndian.AppendUint64(append(b, 'x'), uint64(len(s))), s...)
		}
	}
	return int64(crc32.Checksum(b, castagnoli))
}

// seal makes a row fit to be stored: text without what a dialect refuses or drops, blobs that are never NULL, and
// the checksum.
func (t *table) seal(row reflect.Value) {
	for _, c := range t.columns {
		switch f := row.Field(c.field); f.Kind() {
		case reflect.String:
			if s := f.String(); strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s) {
				f.SetString(strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD"))
			}
		case reflect.Slice:
			if f.IsNil() {
				f.SetBytes([]byte{})
			}
		}
	}
	row.Field(t.columns[len(t.columns)-1].field).SetInt(t.checksum(row))
}

// fill puts stored values into a row and reports whether they are what was once sealed.
func (t *table) fill(row reflect.Value, values []any) bool {
	if len(values) != len(t.columns) {
		return false
	}
	for i, c := range t.columns {
		f := row.Field(c.field)
		switch v := values[i].(type) {
		case int64:
			switch f.Kind() {
			case reflect.Int64:
				f.SetInt(v)
			case reflect.Bool:
				if v != 0 && v != 1 {
					return false
				}
				f.SetBool(v == 1)
			default:
				return false
			}
		case bool:
			if f.Kind() != reflect.Bool {
				return false
			}
			f.SetBool(v)
		case string:
			switch f.Kind() {
			case reflect.String:
				f.SetString(v)
			default:
				return false
			}
		case []byte:
			switch f.Kind() {
			case reflect.String:
				f.SetString(string(v))
			case reflect.Slice:
				f.SetBytes(append([]byte{}, v...))
			default:
				return false
			}
		case nil:
			if f.Kind() != reflect.Slice {
				return false
			}
			f.SetBytes([]byte{}) // an empty blob, as one driver gives it
		default:
			return false
		}
	}
	return row.Field(t.columns[len(t.columns)-1].field).Int() == t.checksum(row)
}
