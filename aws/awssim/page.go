package awssim

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

// paging is how a service bounds a page. Without a size a page has usual items,
// all where that is 0.
type paging struct {
	least, most, usual int
	// badSize and badMarker are the codes of the errors.
	badSize, badMarker string
}

func elbPages() paging { return paging{1, 400, 400, "ValidationError", "ValidationError"} }
func ec2Pages() paging { return paging{5, 1000, 0, "InvalidParameterValue", "InvalidPaginationToken"} }

// prefixListPages is EC2's paging of the entries of a prefix list.
func prefixListPages() paging {
	return paging{1, 100, 100, "InvalidParameterValue", "InvalidPaginationToken"}
}

// scalingPages is Auto Scaling's paging, whose sizes depend on the call.
func scalingPages(most, usual int) paging {
	return paging{1, most, usual, "ValidationError", "InvalidNextToken"}
}

// page cuts out the part of a list that a marker and a page size ask for, and
// gives the marker of the next one, if any. A marker names the last item given,
// so that a page neither repeats nor skips anything when items before it come or
// go; it also carries the position, in case that very item has gone.
func page[T any](items []T, key func(T) string, marker *string, size *int32, p paging) ([]T, *string, error) {
	count := p.usual
	if count == 0 {
		count = len(items)
	}
	if size != nil {
		count = int(*size)
		if count < p.least || count > p.most {
			return nil, nil, apiError(p.badSize, "The page size '%d' must be between %d and %d", count, p.least, p.most)
		}
	}
	start := 0
	if marker != nil {
		raw, err := base64.RawURLEncoding.DecodeString(*marker)
		position, last, found := strings.Cut(string(raw), " ")
		n, errNumber := strconv.Atoi(position)
		if err != nil || errNumber != nil || !found || n < 0 {
			return nil, nil, apiError(p.badMarker, "The marker '%s' is not valid", shorten(*marker))
		}
		start = min(n, len(items))
		if i := slices.IndexFunc(items, func(item T) bool { return key(item) == last }); i >= 0 {
			start = i + 1
		}
	}
	end := min(start+count, len(items))
	// A list that is empty is written as such, not left out.
	out := append([]T{}, items[start:end]...)
	if end == len(items) {
		return out, nil, nil
	}
	next := base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(end) + " " + key(items[end-1])))
	return out, &next, nil
}
