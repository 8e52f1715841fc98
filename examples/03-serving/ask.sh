#!/bin/sh
# ask.sh URL: one wine, asked for in three ways
set -eu
post() { curl -sS --fail-with-body -H 'content-type: application/json' -d "$2" "$url$1"; echo; }
url=$1
values='14.23,1.71,2.43,15.6,127,2.8,3.06,0.28,2.29,5.64,1.04,3.92,1065'
post /v2/models/wine/infer '{"inputs":[{"name":"X","shape":[1,13],"datatype":"FP32","data":['$values']}]}'
post /v1/models/wine:predict '{"instances":[['$values']]}'
post /predict '{"records":[{"alcohol":14.23,"malic_acid":1.71,"ash":2.43,"alcalinity_of_ash":15.6,"magnesium":127,
  "total_phenols":2.8,"flavanoids":3.06,"nonflavanoid_phenols":0.28,"proanthocyanins":2.29,"color_intensity":5.64,"hue":1.04,
  "od280_od315_of_diluted_wines":3.92,"proline":1065}]}'
