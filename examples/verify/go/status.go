package verify

import (
	"compress/zlib"
	"io"
	"strings"
	"time"
)

type statusList struct {
	bits      []byte
	keptUntil time.Time
}

// checkStatus reads the slot of a token in its status list: 0 is valid, 1 revoked, 2 suspended.
func (v *Verifier) checkStatus(c Claims) error {
	place := c.Status.List
	if !strings.HasPrefix(place.URI, v.issuer+"/") {
		return refused("its status list is not one of the issuer's")
	}
	v.lock.Lock()
	list, known := v.lists[place.URI]
	v.lock.Unlock()
	if !known || !now().Before(list.keptUntil) {
		fetched, err := v.fetchList(place.URI)
		if err != nil {
			return err
		}
		list = fetched
		v.lock.Lock()
		v.lists[place.URI] = list
		v.lock.Unlock()
	}
	if place.Index < 0 || place.Index/4 >= len(list.bits) {
		return refused("its index is beyond the end of its status list")
	}
	if list.bits[place.Index/4]>>(place.Index%4*2)&3 != 0 {
		return refused("it was revoked or suspended")
	}
	return nil
}

// fetchList fetches a list, which is kept for its `ttl`, counted from the start of the fetch.
func (v *Verifier) fetchList(uri string) (statusList, error) {
	started := now()
	text, err := fetch(uri, "application/statuslist+jwt")
	if err != nil {
		return statusList{}, err
	}
	var claims struct {
		Subject string               `json:"sub"`
		Expires int64                `json:"exp"`
		Kept    int64                `json:"ttl"`
		List    struct{ Lst string } `json:"status_list"`
	}
	header, err := v.decode(string(text), &claims)
	if err != nil {
		return statusList{}, err
	}
	if header.typ() != "statuslist+jwt" || claims.Subject != uri || started.Unix() >= claims.Expires+5 {
		return statusList{}, refused("its status list is another one, or has expired")
	}
	packed, err := zlib.NewReader(strings.NewReader(string(bytes(claims.List.Lst))))
	if err != nil {
		return statusList{}, refused("its status list cannot be read")
	}
	bits, err := io.ReadAll(io.LimitReader(packed, 16<<20))
	if err != nil {
		return statusList{}, refused("its status list cannot be read")
	}
	return statusList{bits, started.Add(time.Duration(claims.Kept) * time.Second)}, nil
}
