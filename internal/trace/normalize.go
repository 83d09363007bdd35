package trace

import (
	"encoding/json"
	"slices"
	"strings"
)

// SortAttributes puts attributes in the order of their keys, for forms that have no order of their own.
func SortAttributes(as []Attribute) {
	slices.SortFunc(as, func(a, b Attribute) int { return strings.Compare(a.Key, b.Key) })
}

// Normalize gives a span of any exporter the attributes that this program shows and searches: its type, inputs, outputs and token usage,
// read from the OpenTelemetry conventions for GenAI and from OpenInference. What is there already stays.
func Normalize(s *Span) {
	for i := range s.Attributes { // exporters of MLflow itself write these as JSON text
		a := &s.Attributes[i]
		if !strings.HasPrefix(a.Key, "mlflow.") || len(a.Value) == 0 || a.Value[0] != '"' {
			continue
		}
		if text := plain(a.Value); len(text) > 1 && strings.ContainsRune(`{["`, rune(text[0])) && json.Valid([]byte(text)) {
			a.Value = json.RawMessage(text)
		}
	}
	if s.Get(AttrType) == nil {
		if t := typeOf(s); t != "" {
			s.set(AttrType, t)
		}
	}
	s.adopt(AttrInputs, "gen_ai.input.messages", "gen_ai.prompt", "gen_ai.tool.call.arguments", "input.value", "traceloop.entity.input")
	s.adopt(AttrOutputs, "gen_ai.output.messages", "gen_ai.completion", "gen_ai.tool.call.result", "output.value", "traceloop.entity.output")
	s.adopt(AttrModel, "gen_ai.response.model", "gen_ai.request.model", "llm.response.model_name", "llm.model_name", "llm.request.model_name", "embedding.model_name")
	s.adopt(AttrProvider, "gen_ai.provider.name", "gen_ai.system", "llm.provider")
	s.adoptUsage()
}

func (s *Span) set(key string, v any) {
	if raw, err := json.Marshal(v); err == nil {
		s.Attributes = append(s.Attributes, Attribute{key, raw})
	}
}

// adopt copies the first of some attributes; text that is JSON becomes JSON.
func (s *Span) adopt(to string, from ...string) {
	if s.Get(to) != nil {
		return
	}
	for _, key := range from {
		v := s.Get(key)
		if v == nil {
			continue
		}
		if text := plain(v); len(text) > 1 && (text[0] == '{' || text[0] == '[') && json.Valid([]byte(text)) {
			v = json.RawMessage(text)
		}
		s.Attributes = append(s.Attributes, Attribute{to, v})
		return
	}
}

func typeOf(s *Span) string {
	switch s.Text("gen_ai.operation.name") {
	case "chat":
		return "CHAT_MODEL"
	case "text_completion", "generate_content", "response":
		return "LLM"
	case "embeddings":
		return "EMBEDDING"
	case "execute_tool":
		return "TOOL"
	case "invoke_agent", "create_agent":
		return "AGENT"
	}
	switch kind := strings.ToUpper(s.Text("openinference.span.kind") + s.Text("traceloop.span.kind")); kind {
	case "LLM", "CHAIN", "TOOL", "AGENT", "RETRIEVER", "EMBEDDING", "RERANKER", "GUARDRAIL", "EVALUATOR":
		return kind
	case "WORKFLOW":
		return "WORKFLOW"
	case "TASK":
		return "TASK"
	}
	return ""
}

func (s *Span) adoptUsage() {
	if s.Get(AttrTokens) != nil {
		return
	}
	count := func(keys ...string) (int64, bool) {
		for _, k := range keys {
			var n float64
			if v := s.Get(k); v != nil && json.Unmarshal([]byte(plain(v)), &n) == nil && n >= 0 && n < 1e15 {
				return int64(n), true
			}
		}
		return 0, false
	}
	in, hasIn := count("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")
	out, hasOut := count("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion")
	if !hasIn && !hasOut {
		return
	}
	total, ok := count("gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total")
	if !ok {
		total = in + out
	}
	s.set(AttrTokens, Tokens{in, out, total})
}
