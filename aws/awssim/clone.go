package awssim

import (
	"reflect"
	"time"
)

// clone copies a value of the SDK's types in depth, so that what a caller does
// with the input or the output of Call cannot reach into the state.
func clone[T any](src T) T {
	dst := reflect.New(reflect.TypeFor[T]()).Elem()
	cloneInto(dst, reflect.ValueOf(&src).Elem())
	return dst.Interface().(T)
}

func cloneInto(dst, src reflect.Value) {
	switch src.Kind() {
	case reflect.Pointer:
		if !src.IsNil() {
			dst.Set(reflect.New(src.Type().Elem()))
			cloneInto(dst.Elem(), src.Elem())
		}
	case reflect.Interface:
		if !src.IsNil() {
			value := reflect.New(src.Elem().Type()).Elem()
			cloneInto(value, src.Elem())
			dst.Set(value)
		}
	case reflect.Slice:
		if !src.IsNil() {
			dst.Set(reflect.MakeSlice(src.Type(), src.Len(), src.Len()))
			for i := range src.Len() {
				cloneInto(dst.Index(i), src.Index(i))
			}
		}
	case reflect.Map:
		if !src.IsNil() {
			dst.Set(reflect.MakeMap(src.Type()))
			for _, key := range src.MapKeys() {
				dst.SetMapIndex(key, src.MapIndex(key))
			}
		}
	case reflect.Struct:
		if src.Type() == reflect.TypeFor[time.Time]() {
			dst.Set(src)
			return
		}
		for i := range src.NumField() {
			if src.Type().Field(i).IsExported() {
				cloneInto(dst.Field(i), src.Field(i))
			}
		}
	default:
		dst.Set(src)
	}
}
