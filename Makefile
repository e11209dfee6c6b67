PYTHON ?= python3
BIN := .venv/bin
DEMO := demo

.PHONY: help setup demo page notebook test bench clean

help:  ## show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 12

setup: .venv/installed  ## make .venv with everything in requirements.txt

.venv/installed: requirements.txt
	@$(PYTHON) -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and \
	    'Python 3.11, 3.12 or 3.13 is needed, as in: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.13')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

demo: setup  ## the whole pipeline, small: pictures in demo/ after a few minutes
	$(BIN)/python generate_images.py --num_images 160 --chunk_size 20 --save_folder $(DEMO)/syntdata
	$(BIN)/python train.py --input_dir $(DEMO)/syntdata --output_dir $(DEMO)/checkpoits \
	    --model_name_or_path static/model --learning_rate 1e-4 --num_train_epochs 2 --caching True \
	    --logging_steps 2
	$(BIN)/python tune.py --input_dir $(DEMO)/syntdata --model_dir $(DEMO)/checkpoits --n_trials 20 \
	    --min_images 1
	$(BIN)/python detect.py static/photos --model_dir $(DEMO)/checkpoits \
	    --output_dir $(DEMO)/detections --heatmaps
	@echo
	@echo "Made, and worth a look:"
	@echo "  $(DEMO)/syntdata/preview.jpg             generated images, their heatmaps and boxes"
	@echo "  $(DEMO)/checkpoits/predictions.png       what the network sees in unseen images"
	@echo "  $(DEMO)/checkpoits/training_curves.png   how training went"
	@echo "  $(DEMO)/checkpoits/detection.json        the thresholds; plots of the search for better ones are in tune/"
	@echo "  $(DEMO)/detections/                      real photographs with the words found"

page: .venv/page  ## the page: detect, tune by hand, generate and browse in the browser
	$(BIN)/python app.py

.venv/page: requirements-page.txt .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-page.txt
	touch $@

notebook: setup  ## run PipelineFinalProject.ipynb anew and keep its outputs
	rm -rf $(DEMO)/notebook
	$(BIN)/python -c "import nbclient, nbformat; path = 'PipelineFinalProject.ipynb'; \
	    notebook = nbformat.read(path, 4); \
	    nbclient.NotebookClient(notebook, coalesce_streams=True, record_timing=False).execute(); \
	    [cell.update(outputs=[o for o in cell.outputs if o.get('name') != 'stderr']) \
	        for cell in notebook.cells if cell.cell_type == 'code']; \
	    nbformat.write(notebook, path)"

test: setup  ## style checks and all tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

bench: setup  ## the benchmarks behind docs/benchmarks.md
	$(BIN)/python benchmarks/bench_generator.py
	$(BIN)/python benchmarks/bench_training.py
	$(BIN)/python generate_images.py --num_images 200 --save_folder $(DEMO)/bench
	$(BIN)/python benchmarks/bench_caching.py --input_dir $(DEMO)/bench
	$(BIN)/python benchmarks/bench_training.py --input_dir $(DEMO)/bench --steps 20
	$(BIN)/python benchmarks/bench_streaming.py
	$(BIN)/python benchmarks/bench_reading.py --images 10000 --plain
	$(BIN)/python benchmarks/bench_cluster.py
	$(BIN)/python benchmarks/bench_decoder.py
	$(BIN)/python benchmarks/bench_pseudo_labels.py --input_dir $(DEMO)/bench --max_samples 60
	$(BIN)/python benchmarks/bench_tuning.py
	$(BIN)/python benchmarks/bench_detection.py
	$(BIN)/python benchmarks/bench_craft.py

clean:  ## delete what demo, notebook and bench made
	rm -rf $(DEMO)
