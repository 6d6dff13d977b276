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
	if !strings.HasPrefix(place.URI, v.issuer+"/oauth2/status-lists/") {
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
	if place.Index == nil || *place.Index < 0 || *place.Index/4 >= len(list.bits) {
		return refused("its index is missing, or beyond the end of its status list")
	}
	if list.bits[*place.Index/4]>>(*place.Index%4*2)&3 != 0 {
		return refused("it was revoked or suspended")
	}
	return nil
}

// fetchList fetches a list. It is kept for its `ttl`, counted from the start of the fetch, but not past its `exp`. A list that
// cannot be used says nothing about the token, so the answer is 503.
func (v *Verifier) fetchList(uri string) (statusList, error) {
	started := now()
	text, err := fetch(uri, "application/statuslist+jwt")
	if err != nil {
		return statusList{}, err
	}
	unusable := func(why any) (statusList, error) {
		return statusList{}, unavailable("its status list cannot be used: %v", why)
	}
	var claims struct {
		Subject string               `json:"sub"`
		Expires int64                `json:"exp"`
		TTL     int64                `json:"ttl"`
		List    struct{ Lst string } `json:"status_list"`
	}
	header, err := v.decode(string(text), &claims)
	if err != nil {
		return unusable(err)
	}
	if header.typ() != "statuslist+jwt" {
		return unusable("its typ is " + header.Typ)
	}
	if claims.Subject != uri {
		return unusable("it is the list of " + claims.Subject)
	}
	keptUntil := started.Add(time.Duration(claims.TTL) * time.Second)
	if expires := time.Unix(claims.Expires, 0); expires.Before(keptUntil) {
		keptUntil = expires
	}
	if !now().Before(keptUntil) {
		return unusable("it has expired")
	}
	packed, err := zlib.NewReader(strings.NewReader(string(bytes(claims.List.Lst))))
	if err != nil {
		return unusable(err)
	}
	bits, err := io.ReadAll(io.LimitReader(packed, 16<<20))
	if err != nil {
		return unusable(err)
	}
	return statusList{bits, keptUntil}, nil
}
