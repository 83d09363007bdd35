package tracking

import "context"

// DatasetUse is a dataset that a run of an experiment took as input, and what for.
type DatasetUse struct{ Name, Digest, Context string }

// maxDatasetUses bounds a list of datasets, as MLflow does.
const maxDatasetUses = 1000

// DatasetsUsed lists the datasets of an experiment's runs, each once per context. NotFound when there is no such experiment.
func (s *Service) DatasetsUsed(ctx context.Context, experiment string) ([]DatasetUse, error) {
	x, err := s.Experiment(ctx, experiment)
	if err != nil {
		return nil, err
	}
	rows, err := s.d.DB.Query(ctx, "SELECT DISTINCT name, digest, context FROM run_input WHERE exp = ? ORDER BY name, digest, context LIMIT ?", x.num, maxDatasetUses)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := []DatasetUse{}
	for rows.Next() {
		var d DatasetUse
		if err := rows.Scan(&d.Name, &d.Digest, &d.Context); err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, rows.Err()
}
