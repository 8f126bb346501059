package awssim

import (
	"bytes"
	"encoding/xml"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// encodeResponse writes the answer to an operation in the XML of the AWS query
// protocol. The SDK's Go field names are the element names of ELBv2 and STS.
func encodeResponse(action, namespace, requestID string, output any) []byte {
	var b bytes.Buffer
	b.WriteString("<" + action + `Response xmlns="` + namespace + `"><` + action + "Result>")
	if output != nil {
		encodeStruct(&b, reflect.ValueOf(output).Elem())
	}
	b.WriteString("</" + action + "Result><ResponseMetadata><RequestId>" + requestID +
		"</RequestId></ResponseMetadata></" + action + "Response>\n")
	return b.Bytes()
}

// encodeError writes an error in the XML of the AWS query protocol.
func encodeError(namespace, requestID, code, message string, sender bool) []byte {
	kind := "Receiver"
	if sender {
		kind = "Sender"
	}
	var b bytes.Buffer
	b.WriteString(`<ErrorResponse xmlns="` + namespace + `"><Error><Type>` + kind + "</Type>")
	element(&b, "Code", code)
	element(&b, "Message", message)
	b.WriteString("</Error><RequestId>" + requestID + "</RequestId></ErrorResponse>\n")
	return b.Bytes()
}

func encodeStruct(b *bytes.Buffer, src reflect.Value) {
	t := src.Type()
	for i := range t.NumField() {
		field := t.Field(i)
		// ResultMetadata belongs to the SDK, not to the wire.
		if field.IsExported() && field.Name != "ResultMetadata" {
			encodeValue(b, field.Name, src.Field(i))
		}
	}
}

// encodeValue writes one element. What is nil, and an enumeration that was
// never set, is left out; a list that is empty but not nil is written empty.
func encodeValue(b *bytes.Buffer, name string, src reflect.Value) {
	switch src.Kind() {
	case reflect.Pointer:
		if src.IsNil() {
			return
		}
		if src.Elem().Kind() == reflect.String {
			element(b, name, src.Elem().String())
			return
		}
		encodeValue(b, name, src.Elem())
	case reflect.Struct:
		if at, ok := src.Interface().(time.Time); ok {
			element(b, name, at.UTC().Format("2006-01-02T15:04:05.000Z"))
			return
		}
		b.WriteString("<" + name + ">")
		encodeStruct(b, src)
		b.WriteString("</" + name + ">")
	case reflect.Slice:
		if src.IsNil() {
			return
		}
		b.WriteString("<" + name + ">")
		for i := range src.Len() {
			encodeValue(b, "member", src.Index(i))
		}
		b.WriteString("</" + name + ">")
	case reflect.Map:
		encodeMap(b, name, src)
	case reflect.String:
		if src.Len() > 0 || name == "member" {
			element(b, name, src.String())
		}
	case reflect.Bool:
		element(b, name, strconv.FormatBool(src.Bool()))
	case reflect.Int32, reflect.Int64:
		element(b, name, strconv.FormatInt(src.Int(), 10))
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
