"""Every hint that appears under the mouse pointer, in one place, so that they can be proof-read."""

from __future__ import annotations

TOOLTIPS = {
    "image": "The image layer to segment. The newest image is chosen for you.",
    "channel": "What the network sees of a colour image. Automatic uses what the model was trained "
    "on: all colours for a colour model, brightness for a grey one. Hematoxylin is "
    "the blue dye of nuclei in tissue sections, separated from brown or pink stains.",
    "slices": "Segment the slice that is shown now, or every slice of the time series or stack, "
    "one after the other.",
    "network_view": "Adds the image as the network receives it, after its brightness was "
    "normalised. Useful when cells are missed: what is invisible here is invisible to the network.",
    "model": "What the network was trained to find.",
    "cell_type": "Automatic decides for each image by the cells that are found with confidence; "
    "choose a name to find that type only.",
    "preset": "How much effort is spent on each image.",
    "device": "Where the network runs. Automatic takes the fastest one that works.",
    "diameter": "Typical cell diameter in this image, in pixels. The image is rescaled so that its "
    "cells look to the network as large as those it was trained on.",
    "diameter_show": "Draws a circle of this diameter on the image, to compare with the cells by "
    "eye; it can be moved.",
    "pixel_size": "Size of one pixel in micrometres, for the columns in micrometres. Only a model "
    "whose card names a pixel size uses it to rescale the image; neurons and nuclei name none, "
    "enter a diameter for them.",
    "min_size": "Objects with fewer pixels than this are dropped.",
    "mask_nms": "Two objects that overlap more than this are taken for the same cell; the one with "
    "the lower score is dropped.",
    "tile": "Large images are cut into overlapping tiles. Automatic plans them from the free "
    "memory.",
    "max_objects": "The network returns at most this many objects per tile. An automatic tile that "
    "reaches it is split; you are told when the limit was reached nevertheless.",
    "score_threshold": "Cells of this category with a lower score are not kept at all.",
    "reset": "Back to the values that come with the model.",
    "run": "Find all cells. The result is added as a new label layer.",
    "cancel": "Stop now. Nothing is added to the viewer.",
    "result_layer": "The label layer that the filters below act on.",
    "score_slider": "Hides objects with a lower score. Nothing is deleted and nothing is computed "
    "again: move it back and they return.",
    "contour": "Draw outlines instead of filled cells.",
    "colour_by": "One colour per cell, or one per category.",
    "project_new": "Makes a folder for images, their cells and every correction.",
    "project_open": "Opens a project's folder where you left off.",
    "project_recent": "Projects that were open last.",
    "project_add": "Adds image files, a folder with all below it, or image layers of the viewer "
    "with their cells; each becomes a row of the list.",
    "project_remove": "Moves the shown image and its cells to the project's trash folder.",
    "project_previous": "Shows the image above.",
    "project_next": "Shows the image below.",
    "project_done": "Marks the shown image as done and shows the next one.",
    "project_segment": "Segments every image whose status is new, with the settings of the Segment "
    "tab, while you go on working. What you corrected stays.",
    "project_again": "Segments the shown image again. Cells that you drew, changed or accepted "
    "stay; all others are replaced. Ctrl+Z takes it back.",
    "project_import": "Adds cells that another program wrote to the images of the project: COCO, "
    "ImageJ regions, GeoJSON, label images, a Data Science Bowl folder. What is there stays.",
    "project_export": "Writes the cells in the forms that other programs read.",
    "export_which": "Whether images that you are still working on are written, too.",
    "export_folder": "Files of the same names are replaced.",
    "export_start": "Writes the files. The viewer stays free.",
    "train_start": "The model that learns. It keeps its network and its way to look at images.",
    "train_data": "Images in which every cell is outlined: what is not is learnt as background.",
    "train_pair": "The image that these cells are on.",
    "train_file": "A COCO file, or the train.csv of the Sartorius competition.",
    "train_folder": "A project, images with label images, or a Data Science Bowl folder.",
    "train_recipe": "How long it may take; it ends earlier when it gets no better. A file is the "
    "config.json of a run, changed as you like, or a recipe of one stage.",
    "train_name": "What the new model will be called.",
    "train_others": "Draws other crops of the same images.",
    "train_run": "Trains a copy of the model. The viewer stays free, and you can go on segmenting.",
    "train_pause": "Lets the processor go until you go on. The run is safe meanwhile.",
    "train_stop": "Ends now and keeps the best model so far.",
    "train_cancel": "Ends now. Nothing is added; the run can be continued later.",
    "train_continue": "Goes on from the last checkpoint, with the same images and settings.",
    "train_discard": "Moves the run's folder to the trash.",
    "train_use": "Chooses the new model in the Segment tab.",
    "train_show_folder": "Opens the folder with the curve, the pictures and the model.",
    "train_back": "Back to the choices.",
    "model_search": "Shows the models in whose name, publisher or description all of these words "
    "stand.",
    "model_download": "Downloads the model and adds it. You can go on working meanwhile; a "
    "download that broke off goes on where it was.",
    "model_use": "Chooses this model under Segment.",
    "model_rename": "Gives the model another name.",
    "model_ships": "Ships with the plugin, so it stays as it is.",
    "model_export": "Writes the model as one zip file that others can import.",
    "model_delete": "Deletes the model from this computer.",
    "model_combine": "Makes one model of several: each looks at the image, and what they find "
    "becomes one set of cells. It takes longer and finds more reliably.",
    "combine_members": "Who looks at each image. The size of cells and the order of kinds are "
    "those of the first one that is ticked.",
    "combine_name": "What the ensemble is called in lists and on the command line.",
    "combine_strategy": "How what the models find becomes one.",
    "combine_views": "How often each model looks in the preset Best: once, at the mirror image "
    "too, or at all four mirror images.",
    "model_import": "Adds a zip that somebody exported, or a checkpoint of a network that was "
    "trained elsewhere (.pth, .pkl).",
    "cancel_model_job": "Stop now. No half a model is added; what has arrived of a download is "
    "kept for the next time.",
    "import_name": "What to call the model in the lists.",
    "import_config": "The config.yaml that the training run wrote beside the checkpoint. Needed "
    "when anchors, grey levels or image sizes were changed in it.",
    "import_categories": "Names of the classes in the order of training, with commas between them.",
    "import_diameter": "Typical cell diameter in pixels of the network's input, if you know it.",
    "copy_shown": "Makes a new label layer of the objects that are shown now, with their table. "
    "Use it to save the filtered result.",
    "correct_layer": "The label layer whose cells you correct. Every correction can be undone with "
    "Ctrl+Z.",
    "table_filter": "Shows only the rows that fit: comparisons of columns, joined by and, or, not. "
    "A single word looks for a category or a source, a number for a cell.",
    "table_slider": "Shows only the rows whose value lies between the two handles.",
    "table_copy": "Copies the rows shown, to be pasted into a spreadsheet.",
    "table_csv": "Saves the rows shown, with all their columns, as a file for spreadsheets and R.",
    "review_again": "Judges all cells again, also those without a label, by what is usual now.",
    "category": "The kind that new cells get. The number keys give a kind to the selected cells.",
    "give_category": "Gives this kind to all selected cells.",
    "overwrite": "Off, drawing and painting leave all other cells as they are.",
    "undo": "Takes the last correction back, as Ctrl+Z does.",
    "redo": "Makes the correction again that was taken back, as Ctrl+Shift+Z does.",
    "cheat_sheet": "Shows all keys.",
    "evaluate_found": "The labels whose quality you want to know.",
    "evaluate_truth": "The labels that are right: drawn by hand, or read from a data set.",
    "evaluate_file": "Takes the true cells from a file of COCO annotations. Its image is found by "
    "name and size.",
    "evaluate_layer": "Takes the true cells from a labels layer again.",
    "evaluate_slices": "Compare the slice that is shown now, or all of them, each on its own.",
    "evaluate_compare": "Finds out which found cell is which true one, and adds the layer Errors.",
    "evaluate_iou": "A found cell is a true one when their overlap, intersection over union, is "
    "above this. Drawing on the curve moves it, too.",
    "error_previous": "Shows the cell of the line above. Key: P.",
    "error_next": "Shows the cell of the line below. Key: N.",
    "error_csv": "Saves the lines shown as a file for spreadsheets and R.",
}


def tooltip(name: str) -> str:
    """Return the hint for a control; raises ``KeyError`` for an unknown name."""
    return TOOLTIPS[name]
