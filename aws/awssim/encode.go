package awssim

import (
	"bytes"
	"encoding/xml"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// response writes the answer to an operation in XML.
func (d *dialect) response(action, namespace, requestID string, output any) []byte {
	var b bytes.Buffer
	b.WriteString("<" + action + `Response xmlns="` + namespace + `">`)
	if d.plain {
		element(&b, "requestId", requestID)
	} else {
		b.WriteString("<" + action + "Result>")
	}
	if output != nil {
		d.encodeStruct(&b, reflect.ValueOf(output).Elem())
	}
	if !d.plain {
		b.WriteString("</" + action + "Result><ResponseMetadata><RequestId>" + requestID + "</RequestId></ResponseMetadata>")
	}
	b.WriteString("</" + action + "Response>\n")
	return b.Bytes()
}

// failure writes an error in XML.
func (d *dialect) failure(namespace, requestID, code, message string, sender bool) []byte {
	var b bytes.Buffer
	if d.plain {
		b.WriteString("<Response><Errors><Error>")
		element(&b, "Code", code)
		element(&b, "Message", message)
		b.WriteString("</Error></Errors><RequestID>" + requestID + "</RequestID></Response>\n")
		return b.Bytes()
	}
	kind := "Receiver"
	if sender {
		kind = "Sender"
	}
	b.WriteString(`<ErrorResponse xmlns="` + namespace + `"><Error><Type>` + kind + "</Type>")
	element(&b, "Code", code)
	element(&b, "Message", message)
	b.WriteString("</Error><RequestId>" + requestID + "</RequestId></ErrorResponse>\n")
	return b.Bytes()
}

func (d *dialect) encodeStruct(b *bytes.Buffer, src reflect.Value) {
	t := src.Type()
	for i := range t.NumField() {
		field := t.Field(i)
		// ResultMetadata belongs to the SDK, not to the wire.
		if field.IsExported() && field.Name != "ResultMetadata" {
			d.encodeValue(b, d.element(t, field.Name), src.Field(i))
		}
	}
}

// encodeValue writes one element. What is nil, and an enumeration that was
// never set, is left out; a list that is empty but not nil is written empty.
func (d *dialect) encodeValue(b *bytes.Buffer, name string, src reflect.Value) {
	switch src.Kind() {
	case reflect.Pointer:
		if src.IsNil() {
			return
		}
		if src.Elem().Kind() == reflect.String {
			element(b, name, src.Elem().String())
			return
		}
		d.encodeValue(b, name, src.Elem())
	case reflect.Struct:
		if at, ok := src.Interface().(time.Time); ok {
			element(b, name, at.UTC().Format("2006-01-02T15:04:05.000Z"))
			return
		}
		b.WriteString("<" + name + ">")
		d.encodeStruct(b, src)
		b.WriteString("</" + name + ">")
	case reflect.Slice:
		if src.IsNil() {
			return
		}
		b.WriteString("<" + name + ">")
		for i := range src.Len() {
			d.encodeValue(b, d.item, src.Index(i))
		}
		b.WriteString("</" + name + ">")
	case reflect.Map:
		encodeMap(b, name, src)
	case reflect.String:
		if src.Len() > 0 || name == d.item {
			element(b, name, src.String())
		}
	case reflect.Bool:
		element(b, name, strconv.FormatBool(src.Bool()))
	case reflect.Int32, reflect.Int64:
		element(b, name, strconv.FormatInt(src.Int(), 10))
	case reflect.Float64:
		element(b, name, strconv.FormatFloat(src.Float(), 'g', -1, 64))
	}
}

func encodeMap(b *bytes.Buffer, name string, src reflect.Value) {
	if src.IsNil() {
		return
	}
	var keys []string
	for _, key := range src.MapKeys() {
		keys = append(keys, key.String())
	}
	slices.Sort(keys)
	b.WriteString("<" + name + ">")
	for _, key := range keys {
		b.WriteString("<entry>")
		element(b, "key", key)
		element(b, "value", src.MapIndex(reflect.ValueOf(key)).String())
		b.WriteString("</entry>")
	}
	b.WriteString("</" + name + ">")
}

func element(b *bytes.Buffer, name, text string) {
	b.WriteString("<" + name + ">")
	// A bytes.Buffer never fails to write.
	_ = xml.EscapeText(b, []byte(text))
	b.WriteString("</" + name + ">")
}
