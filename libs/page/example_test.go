package page_test

import (
	"bytes"
	"fmt"

	"github.com/privacyops/privacyops/libs/page"
)

func ExampleDecode() {
	key := bytes.Repeat([]byte{1}, page.MinKey)
	list := page.Binding{Controller: "north-school", Method: "/privacyops.erasure.v1.ErasureService/ListErasures"}
	token, _ := page.Encode(key, list, []byte("0198-0007"))

	cursor, err := page.Decode(key, list, token)
	fmt.Println(string(cursor), err)

	list.Controller = "south-school"
	_, err = page.Decode(key, list, token)
	fmt.Println(err)
	// Output:
	// 0198-0007 <nil>
	// the page token does not belong to this list; start again without one
}
