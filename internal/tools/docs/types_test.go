package main

import (
	"strings"
	"testing"
)

func TestTypeScript(t *testing.T) {
	t.Parallel()
	got, err := TypeScript([]byte(`{"components":{"schemas":{
		"B":{"type":"object","required":["id","tags","at"],"properties":{"$schema":{"type":"string"},"id":{"type":"string","description":"of */ it"},"n":{"type":["number","null"]},"tags":{"type":["array","null"],"items":{"type":["string","null"]}},
			"at":{"$ref":"#/components/schemas/Post-x-a"},"word":{"type":"string","enum":["a","b"]},"by-key":{"type":"object","additionalProperties":{"type":"integer"}},"any":{},"in":{"type":"object","properties":{"x":{"type":"boolean"}}}}},
		"Post-x-a":{"type":"object","additionalProperties":{}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(got), "\n\n")
	const want = `export interface B {
  any?: unknown
  at: PostXA
  "by-key"?: Record<string, number>
  /** of * / it */
  id: string
  in?: {
    x?: boolean
  }
  n?: number | null
  tags: (string | null)[]
  word?: 'a' | 'b'
}

export type PostXA = Record<string, unknown>
`
	if text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	if _, err := TypeScript([]byte(`{"components":{"schemas":{"B":{"type":"tuple"}}}}`)); err == nil {
		t.Error("a type that is not JSON's")
	}
}
