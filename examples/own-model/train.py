"""A plain training script: nothing in it knows of Modelyard but the address in MLFLOW_TRACKING_URI."""

import mlflow
import mlflow.sklearn
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

x, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.25, random_state=1)

mlflow.set_experiment("diabetes")
with mlflow.start_run():
    model = make_pipeline(StandardScaler(), Ridge(alpha=1.0)).fit(x_train, y_train)
    mlflow.log_param("alpha", 1.0)
    mlflow.log_metric("mae", mean_absolute_error(y_test, model.predict(x_test)))
    mlflow.sklearn.log_model(model, name="model", input_example=x_train.head(3), registered_model_name="diabetes")
